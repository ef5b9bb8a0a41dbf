package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	api "github.com/siderolabs/talos-metal-agent/api/agent"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// behaviour is what a machine does when a method is called. Without any it answers at once.
type behaviour struct {
	DelayMS int    `json:"delay_ms"`
	Hang    bool   `json:"hang"` // until the call is cancelled
	Deaf    bool   `json:"deaf"` // to cancelling: it answers after the delay all the same
	Die     bool   `json:"die"`  // the whole program, after the delay
	Code    int    `json:"code"`
	Words   string `json:"words"`  // of the error with that code; without a code, of an error that has none
	IPMI    *ipmi  `json:"ipmi"`   // in the answer of GetPowerManagement
	API     bool   `json:"api"`    // likewise
	Length  int    `json:"length"` // of the address in it, instead of the one given
}

type ipmi struct {
	Address    string `json:"address"`
	Port       uint32 `json:"port"`
	UserExists bool   `json:"user_exists"`
}

// called is one call that a machine has had.
type called struct {
	Method   string `json:"method"`
	State    string `json:"state"` // running, done, failed, cancelled
	Error    string `json:"error"`
	Deadline bool   `json:"deadline"` // whether one came with the call
	Username string `json:"username"`
	Password string `json:"password"`
	IPMI     bool   `json:"ipmi"`
	API      bool   `json:"api"`
	Zeroes   bool   `json:"zeroes"`
}

// machine is what an agent runs on.
type machine struct {
	api.UnimplementedAgentServiceServer

	// Like the real agent it does calls that are equal and come at the same time but once, for the first who asked;
	// if that one goes away, the others get his error.
	same singleflight.Group

	mu         sync.Mutex
	behaviours map[string]behaviour
	called     []*called
}

func newMachine() *machine {
	return &machine{behaviours: map[string]behaviour{}}
}

func (m *machine) behave(method string, b behaviour) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.behaviours[method] = b
}

// all is a copy of all calls.
func (m *machine) all() []called {
	m.mu.Lock()
	defer m.mu.Unlock()

	copies := make([]called, 0, len(m.called))
	for _, c := range m.called {
		copies = append(copies, *c)
	}

	return copies
}

// Hello answers.
func (m *machine) Hello(ctx context.Context, _ *api.HelloRequest) (*api.HelloResponse, error) {
	_, err := m.answer(ctx, called{Method: "Hello"})

	return &api.HelloResponse{}, err
}

// GetPowerManagement answers with what it was told to.
func (m *machine) GetPowerManagement(
	ctx context.Context, request *api.GetPowerManagementRequest,
) (*api.GetPowerManagementResponse, error) {
	asked := called{Method: "GetPowerManagement", IPMI: request.GetIpmi() != nil, API: request.GetApi() != nil}

	b, err := m.answer(ctx, asked)
	if err != nil {
		return nil, err
	}

	answer := &api.GetPowerManagementResponse{}

	if b.IPMI != nil {
		answer.Ipmi = &api.GetPowerManagementResponse_IPMI{
			Address: b.IPMI.Address, Port: b.IPMI.Port, UserExists: b.IPMI.UserExists,
		}
	}

	if b.Length > 0 {
		answer.Ipmi = &api.GetPowerManagementResponse_IPMI{Address: pattern(b.Length)}
	}

	if b.API {
		answer.Api = &api.GetPowerManagementResponse_API{}
	}

	return answer, nil
}

// SetPowerManagement notes the login.
func (m *machine) SetPowerManagement(
	ctx context.Context, request *api.SetPowerManagementRequest,
) (*api.SetPowerManagementResponse, error) {
	_, err := m.answer(ctx, called{
		Method:   "SetPowerManagement",
		IPMI:     request.GetIpmi() != nil,
		API:      request.GetApi() != nil,
		Username: request.GetIpmi().GetUsername(),
		Password: request.GetIpmi().GetPassword(),
	})

	return &api.SetPowerManagementResponse{}, err
}

// WipeDisks takes as long as it is told to.
func (m *machine) WipeDisks(ctx context.Context, request *api.WipeDisksRequest) (*api.WipeDisksResponse, error) {
	_, err := m.answer(ctx, called{Method: "WipeDisks", Zeroes: request.GetZeroes()})

	return &api.WipeDisksResponse{}, err
}

// Reboot answers.
func (m *machine) Reboot(ctx context.Context, _ *api.RebootRequest) (*api.RebootResponse, error) {
	_, err := m.answer(ctx, called{Method: "Reboot"})

	return &api.RebootResponse{}, err
}

// answer does a call, or waits with others for the end of one that is equal.
func (m *machine) answer(ctx context.Context, asked called) (behaviour, error) {
	b, err, _ := m.same.Do(fmt.Sprintf("%+v", asked), func() (any, error) { return m.do(ctx, asked) })

	return b.(behaviour), err //nolint:forcetypeassert // it comes from the line above
}

// do behaves as the machine was told to, and notes how the call ends.
func (m *machine) do(ctx context.Context, asked called) (behaviour, error) {
	_, asked.Deadline = ctx.Deadline()
	asked.State = "running"

	m.mu.Lock()
	m.called = append(m.called, &asked)
	b := m.behaviours[asked.Method]
	m.mu.Unlock()

	err := b.act(ctx)

	m.mu.Lock()
	defer m.mu.Unlock()

	switch {
	case err == nil:
		asked.State = "done"
	case ctx.Err() != nil:
		asked.State, asked.Error = "cancelled", err.Error()
	default:
		asked.State, asked.Error = "failed", err.Error()
	}

	return b, err
}

func (b behaviour) act(ctx context.Context) error {
	over := ctx.Done()
	if b.Deaf {
		over = nil
	}

	var after <-chan time.Time
	if !b.Hang {
		after = time.After(time.Duration(b.DelayMS) * time.Millisecond)
	}

	select {
	case <-over:
		return ctx.Err()
	case <-after:
	}

	if b.Die {
		syscall.Kill(os.Getpid(), syscall.SIGKILL) //nolint:errcheck // one may always end oneself
	}

	if b.Code != 0 {
		return status.Error(codes.Code(b.Code), b.Words)
	}

	if b.Words != "" {
		return errors.New(b.Words)
	}

	return nil
}

// pattern is a text in which no part is like the one that follows it, so that a chunk that is lost or moved shows.
func pattern(length int) string {
	text := make([]byte, 0, length+8)
	for n := 0; len(text) < length; n++ {
		text = append(text, []byte(digits(n))...)
	}

	return string(text[:length])
}

func digits(n int) string {
	out := [7]byte{' '}
	for place := 6; place > 0; place-- {
		out[place] = byte('0' + n%10)
		n /= 10
	}

	return string(out[:])
}

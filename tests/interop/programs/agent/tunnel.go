package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync"
	"time"

	"github.com/jhump/grpctunnel"
	"github.com/jhump/grpctunnel/tunnelpb"
	api "github.com/siderolabs/talos-metal-agent/api/agent"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// Talos waits longer before it starts the agent again; a test has no reason to.
const redialPause = 200 * time.Millisecond

// plan is how an agent dials. Address is like the kernel argument: HOST:PORT, or a URL of http or https.
type plan struct {
	Address     string `json:"address"`
	MachineID   string `json:"machine_id"`
	FlowControl bool   `json:"flow_control"`
	Redial      bool   `json:"redial"`
	CA          string `json:"ca"`
	SkipVerify  bool   `json:"skip_verify"`
	OldTLS      bool   `json:"old_tls"` // speaks TLS 1.2 at most
}

// dialled is one connection that an agent opened. Error is empty while it is open.
type dialled struct {
	Ended  bool   `json:"ended"`
	Error  string `json:"error"`
	Served bool   `json:"served"` // whether there was a tunnel
}

// agent dials, and answers for its machine.
type agent struct {
	plan    plan
	machine *machine

	mu      sync.Mutex
	dialled []dialled
	conn    *grpc.ClientConn
	tunnel  *grpctunnel.ReverseTunnelServer
	stopped bool
}

func newAgent(p plan) *agent {
	return &agent{plan: p, machine: newMachine()}
}

// run dials until it is not to do so again.
func (a *agent) run() {
	for {
		served, err := a.serve()

		if a.note(served, err) || !a.plan.Redial {
			return
		}

		time.Sleep(redialPause)
	}
}

// serve opens one connection and answers in it until it ends.
func (a *agent) serve() (bool, error) {
	creds, err := a.credentials()
	if err != nil {
		return false, err
	}

	_, target, isURL := strings.Cut(a.plan.Address, "://")
	if !isURL {
		target = a.plan.Address
	}

	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds))
	if err != nil {
		return false, err
	}
	defer conn.Close() //nolint:errcheck // it may be closed already

	var options []grpctunnel.TunnelOption
	if !a.plan.FlowControl {
		options = append(options, grpctunnel.WithDisableFlowControl())
	}

	tunnel := grpctunnel.NewReverseTunnelServer(tunnelpb.NewTunnelServiceClient(conn), options...)
	api.RegisterAgentServiceServer(tunnel, a.machine)

	a.begin(conn, tunnel)

	return tunnel.Serve(metadata.AppendToOutgoingContext(context.Background(), "machine-id", a.plan.MachineID))
}

// credentials are those that the address asks for.
func (a *agent) credentials() (credentials.TransportCredentials, error) {
	if !strings.HasPrefix(a.plan.Address, "https://") {
		return insecure.NewCredentials(), nil
	}

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(a.plan.CA))

	config := &tls.Config{
		RootCAs:            roots,
		InsecureSkipVerify: a.plan.SkipVerify, //nolint:gosec // the real one has that switch as well
	}
	if a.plan.OldTLS {
		config.MaxVersion = tls.VersionTLS12
	}

	return credentials.NewTLS(config), nil
}

func (a *agent) begin(conn *grpc.ClientConn, tunnel *grpctunnel.ReverseTunnelServer) {
	a.mu.Lock()
	defer a.mu.Unlock()

	a.conn, a.tunnel = conn, tunnel
	a.dialled = append(a.dialled, dialled{})
}

// note notes how a connection ended; the answer is whether the agent was stopped.
func (a *agent) note(served bool, err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()

	last := dialled{Ended: true, Served: served}
	if err != nil {
		last.Error = err.Error()
	}

	if len(a.dialled) == 0 || a.dialled[len(a.dialled)-1].Ended {
		a.dialled = append(a.dialled, last)
	} else {
		a.dialled[len(a.dialled)-1] = last
	}

	return a.stopped
}

func (a *agent) all() []dialled {
	a.mu.Lock()
	defer a.mu.Unlock()

	return append([]dialled{}, a.dialled...)
}

func (a *agent) stop() {
	a.mu.Lock()
	a.stopped = true
	tunnel := a.tunnel
	a.mu.Unlock()

	if tunnel != nil {
		go tunnel.Stop() // it waits until all calls have ended
	}
}

func (a *agent) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()

	if a.conn != nil {
		a.conn.Close() //nolint:errcheck // it may be closed already
	}
}

package cosi

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/cosi-project/runtime/api/v1alpha1"
	state "github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // clients compress their requests
)

// largest is the most that Omni takes in one message, in bytes.
const largest = 32 << 20

var errNotStarted = errors.New("it is not started")

// server is one start of the server: gRPC behind net/http, which is how Omni serves it.
type server struct {
	rpc         *grpc.Server
	http        *http.Server
	connections *connections
}

// call is one that a client made.
type call struct {
	Method   string `json:"method"`
	Encoding string `json:"encoding"`
	Test     string `json:"test"` // the header x-test
}

// start listens on a port of the loopback; 0 is any free one. The answer is the port.
func (o *omni) start(fields struct {
	Port int `json:"port"`
},
) (any, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", fields.Port))
	if err != nil {
		return nil, err
	}

	rpc := grpc.NewServer(
		grpc.MaxRecvMsgSize(largest),
		grpc.UnaryInterceptor(o.checkUnary),
		grpc.ChainStreamInterceptor(o.checkStream, o.gate.guard),
	)
	v1alpha1.RegisterStateServer(rpc, state.NewState(o.state))

	plain := new(http.Protocols)
	plain.SetUnencryptedHTTP2(true)

	web := &http.Server{Handler: o.noting(rpc), Protocols: plain}
	kept := &connections{Listener: listener}

	go web.Serve(kept) //nolint:errcheck // it ends with an error whenever it is closed

	o.server = &server{rpc, web, kept}

	return listener.Addr().(*net.TCPAddr).Port, nil //nolint:forcetypeassert // it is one of TCP
}

// stop ends the server and every call; the state stays.
func (o *omni) stop(struct{}) (any, error) {
	if o.server == nil {
		return nil, errNotStarted
	}

	ended := o.server
	o.server = nil

	o.gate.open()
	ended.rpc.Stop()

	return nil, ended.http.Close()
}

// drop breaks all connections, and takes the next that come.
func (o *omni) drop(struct{}) (any, error) {
	if o.server == nil {
		return nil, errNotStarted
	}

	return o.server.connections.reset(), nil
}

// noting notes each call.
func (o *omni) noting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.calls = append(o.calls, call{
			Method:   r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:],
			Encoding: r.Header.Get("Grpc-Encoding"),
			Test:     r.Header.Get("X-Test"),
		})
		o.mu.Unlock()

		next.ServeHTTP(w, r)
	})
}

// seen answers with all calls since it was last asked.
func (o *omni) seen(struct{}) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()

	calls := o.calls
	o.calls = nil

	return calls, nil
}

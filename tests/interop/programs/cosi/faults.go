package cosi

import (
	"net"
	"sync"

	"google.golang.org/grpc"
)

// connections are those that a listener has accepted, so that they can be broken.
type connections struct {
	net.Listener

	mu   sync.Mutex
	open []net.Conn
}

// Accept waits for the next connection.
func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.mu.Lock()
		c.open = append(c.open, conn)
		c.mu.Unlock()
	}

	return conn, err
}

// reset breaks all connections without a word; the answer is how many there were.
func (c *connections) reset() int {
	c.mu.Lock()
	defer c.mu.Unlock()

	broken := 0

	for _, conn := range c.open {
		conn.(*net.TCPConn).SetLinger(0) //nolint:errcheck,forcetypeassert // it may be closed already

		if conn.Close() == nil {
			broken++
		}
	}

	c.open = nil

	return broken
}

// gate holds back what streams send, like a network that is too slow.
type gate struct {
	mu     sync.Mutex
	passed *sync.Cond
	closed bool
}

func newGate() *gate {
	g := &gate{}
	g.passed = sync.NewCond(&g.mu)

	return g
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.closed = true
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.closed = false
	g.passed.Broadcast()
}

func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()

	for g.closed {
		g.passed.Wait()
	}
}

// guard puts the gate before all that a stream sends.
func (g *gate) guard(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, &gatedStream{stream, g})
}

type gatedStream struct {
	grpc.ServerStream
	gate *gate
}

func (s *gatedStream) SendMsg(m any) error {
	s.gate.pass()

	return s.ServerStream.SendMsg(m)
}

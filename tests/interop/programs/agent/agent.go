// Package agent runs the agents of machines, with the libraries of the real one: grpctunnel carries the calls, and the
// service is that of the agent's own API. A test says how each of them behaves, and asks what it was asked.
package agent

import (
	"errors"
	"fmt"
	"sync"

	"interop/control"
)

// fleet are the agents of one process, by the number that the test knows them by.
type fleet struct {
	mu     sync.Mutex
	agents map[int]*agent
}

// who says which agent is meant.
type who struct {
	Agent int `json:"agent"`
}

// Acts are what a test can ask for.
func Acts() control.Acts {
	f := &fleet{agents: map[int]*agent{}}

	return control.Acts{
		"dial":   control.With(f.dial),
		"behave": control.With(f.behave),
		"calls":  control.With(f.calls),
		"dials":  control.With(f.dials),
		"stop":   control.With(f.stop),
		"cut":    control.With(f.cut),
	}
}

// dial starts an agent; the answer is its number.
func (f *fleet) dial(plan plan) (any, error) {
	if plan.Address == "" {
		return nil, errors.New("no address to dial")
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	number := len(f.agents) + 1
	a := newAgent(plan)
	f.agents[number] = a

	go a.run()

	return number, nil
}

func (f *fleet) find(number int) (*agent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	a, known := f.agents[number]
	if !known {
		return nil, fmt.Errorf("there is no agent %d", number)
	}

	return a, nil
}

// behave says what an agent does when a method is called from now on.
func (f *fleet) behave(fields struct {
	who
	Method string `json:"method"`
	behaviour
},
) (any, error) {
	a, err := f.find(fields.Agent)
	if err == nil {
		a.machine.behave(fields.Method, fields.behaviour)
	}

	return nil, err
}

// calls answers with all calls that an agent has had.
func (f *fleet) calls(w who) (any, error) {
	a, err := f.find(w.Agent)
	if err != nil {
		return nil, err
	}

	return a.machine.all(), nil
}

// dials answers with all connections that an agent has opened.
func (f *fleet) dials(w who) (any, error) {
	a, err := f.find(w.Agent)
	if err != nil {
		return nil, err
	}

	return a.all(), nil
}

// stop has an agent end its tunnel with a goodbye, and dial no more.
func (f *fleet) stop(w who) (any, error) {
	a, err := f.find(w.Agent)
	if err == nil {
		a.stop()
	}

	return nil, err
}

// cut breaks an agent's connection; it dials again if that is its way.
func (f *fleet) cut(w who) (any, error) {
	a, err := f.find(w.Agent)
	if err == nil {
		a.cut()
	}

	return nil, err
}

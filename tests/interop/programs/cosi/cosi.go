// Package cosi is a state server as Omni has one: the COSI runtime's own state behind its own gRPC service, which is
// served through net/http. A test also changes the state from the inside, with the helpers that controllers use.
package cosi

import (
	"context"
	"strconv"
	"sync"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/protobuf"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/siderolabs/go-api-signature/pkg/pgp"

	"interop/control"
)

// A watcher that lags behind by more events than this is told so, and gets no more.
const history = 64

// omni is the state with the server before it.
type omni struct {
	state  state.State
	server *server
	gate   *gate

	mu      sync.Mutex
	calls   []call
	keys    map[string]*pgp.Key // who may call, by fingerprint; nil for anybody
	refused []string
}

// pointer names a resource and who asks for it.
type pointer struct {
	Namespace string `json:"namespace"`
	Type      string `json:"type"`
	ID        string `json:"id"`
	Owner     string `json:"owner"`
}

func (p pointer) metadata() resource.Metadata {
	return resource.NewMetadata(p.Namespace, p.Type, p.ID, resource.VersionUndefined)
}

// Acts are what a test can ask for. Resources go to and fro as bytes of cosi.resource.Resource.
func Acts() control.Acts {
	o := &omni{gate: newGate()}
	o.forget()

	return control.Acts{
		"start":    control.With(o.start),
		"stop":     control.With(o.stop),
		"drop":     control.With(o.drop),
		"forget":   control.With(func(struct{}) (any, error) { o.forget(); return nil, nil }),
		"hold":     control.With(func(struct{}) (any, error) { o.gate.close(); return nil, nil }),
		"release":  control.With(func(struct{}) (any, error) { o.gate.open(); return nil, nil }),
		"calls":    control.With(o.seen),
		"account":  control.With(o.account),
		"trust":    control.With(o.trust),
		"revoke":   control.With(o.revoke),
		"refusals": control.With(o.refusals),
		"create":   control.With(o.create),
		"get":      control.With(o.get),
		"update":   control.With(o.update),
		"finalize": control.With(o.finalize),
		"teardown": control.With(o.teardown),
		"destroy":  control.With(o.destroy),
	}
}

// forget begins with an empty state and no account, like an Omni whose data is gone.
func (o *omni) forget() {
	o.keys, o.refused = nil, nil
	o.state = state.WrapCore(namespaced.NewState(func(namespace resource.Namespace) state.CoreState {
		return inmem.NewStateWithOptions(inmem.WithHistoryInitialCapacity(history), inmem.WithHistoryMaxCapacity(history))(namespace)
	}))
}

func (o *omni) create(fields struct {
	Resource []byte `json:"resource"`
	Owner    string `json:"owner"`
},
) (any, error) {
	var raw v1alpha1.Resource
	if err := protobuf.ProtoUnmarshal(fields.Resource, &raw); err != nil {
		return nil, err
	}

	r, err := protobuf.Unmarshal(&raw)
	if err != nil {
		return nil, err
	}

	return nil, o.state.Create(context.Background(), r, state.WithCreateOwner(fields.Owner))
}

func (o *omni) get(p pointer) (any, error) {
	found, err := o.state.Get(context.Background(), p.metadata())
	if state.IsNotFoundError(err) {
		return nil, nil //nolint:nilnil // null says that there is none
	} else if err != nil {
		return nil, err
	}

	r, err := protobuf.FromResource(found)
	if err != nil {
		return nil, err
	}

	raw, err := r.Marshal()
	if err != nil {
		return nil, err
	}

	return protobuf.ProtoMarshal(raw)
}

// update gives a resource another spec and more labels. The helper of controllers, which it uses, sends nothing where
// nothing changes; so if it is to be done several times, each is noted in an annotation.
func (o *omni) update(fields struct {
	pointer
	Spec   []byte            `json:"spec"`
	Labels map[string]string `json:"labels"`
	Times  int               `json:"times"`
},
) (any, error) {
	for n := range max(fields.Times, 1) {
		_, err := o.state.UpdateWithConflicts(context.Background(), fields.metadata(), func(r resource.Resource) error {
			for key, value := range fields.Labels {
				r.Metadata().Labels().Set(key, value)
			}

			if fields.Times > 1 {
				r.Metadata().Annotations().Set("times", strconv.Itoa(n))
			}

			return setSpec(r.(*protobuf.Resource), fields.Spec) //nolint:forcetypeassert // no type is registered
		}, state.WithUpdateOwner(fields.Owner), state.WithExpectedPhaseAny())
		if err != nil {
			return nil, err
		}
	}

	return nil, nil
}

// setSpec puts other bytes into a resource of a type that is not known here.
func setSpec(r *protobuf.Resource, spec []byte) error {
	raw, err := r.Marshal()
	if err != nil {
		return err
	}

	raw.Spec = &v1alpha1.Spec{ProtoSpec: spec}

	changed, err := protobuf.Unmarshal(raw)
	if err == nil {
		*r = *changed
	}

	return err
}

// finalize puts finalizers on and takes them off as a controller does.
func (o *omni) finalize(fields struct {
	pointer
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
},
) (any, error) {
	ctx := context.Background()

	if len(fields.Add) > 0 {
		if err := o.state.AddFinalizer(ctx, fields.metadata(), fields.Add...); err != nil {
			return nil, err
		}
	}

	if len(fields.Remove) > 0 {
		return nil, o.state.RemoveFinalizer(ctx, fields.metadata(), fields.Remove...)
	}

	return nil, nil
}

func (o *omni) teardown(p pointer) (any, error) {
	return o.state.Teardown(context.Background(), p.metadata(), state.WithTeardownOwner(p.Owner))
}

func (o *omni) destroy(p pointer) (any, error) {
	return nil, o.state.Destroy(context.Background(), p.metadata(), state.WithDestroyOwner(p.Owner))
}

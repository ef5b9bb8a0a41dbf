"""A state server made of the COSI runtime, as Omni has one, and what Omni's own controllers would do in it."""

import base64

from app.omni.resource import blank
from protos.gen.cosi import state_pb2

PROVIDER = "bm"


class GoOmni:
    """The running `cosi` program; use it after `start`."""

    def __init__(self, program):
        self.program = program
        self.port = 0

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        """Listen; on the port of before if there was one."""
        self.port = self.program.ask("start", port=self.port)

    def stop(self):
        """End all calls and listen no more; what is stored stays."""
        self.program.ask("stop")

    def drop(self):
        """Break all connections; the answer is how many there were."""
        return self.program.ask("drop")

    def forget(self):
        """Lose what is stored. Only while it is stopped."""
        self.program.ask("forget")

    def hold(self):
        """Keep back what streams send, until `release`."""
        self.program.ask("hold")

    def release(self):
        self.program.ask("release")

    def calls(self):
        """The calls since this was last asked."""
        return self.program.ask("calls") or []

    # What Omni's controllers do

    def create(self, kind, resource_id, spec=None, *, owner=None, labels=(), finalizers=(), annotations=()):
        raw = blank(kind, PROVIDER, resource_id).raw
        if spec is not None:
            raw.spec.proto_spec = spec.SerializeToString()
        raw.metadata.labels.update(labels)
        raw.metadata.annotations.update(annotations)
        raw.metadata.finalizers.extend(finalizers)
        whose = kind.owner(PROVIDER) if owner is None else owner
        self.program.ask("create", resource=raw.SerializeToString(), owner=whose)

    def get(self, kind, resource_id):
        """The raw resource as it is stored, or None."""
        found = self.program.ask("get", **place(kind), id=resource_id)
        return None if found is None else state_pb2.Resource.FromString(base64.b64decode(found))

    def update(self, kind, resource_id, spec, *, labels=None, times=1, owner=None):
        whose = kind.owner(PROVIDER) if owner is None else owner
        self.program.ask(
            "update",
            **place(kind),
            id=resource_id,
            owner=whose,
            spec=spec.SerializeToString(),
            labels=labels or {},
            times=times,
        )

    def add_finalizer(self, kind, resource_id, *names):
        self.program.ask("finalize", **place(kind), id=resource_id, add=names)

    def remove_finalizer(self, kind, resource_id, *names):
        self.program.ask("finalize", **place(kind), id=resource_id, remove=names)

    def teardown(self, kind, resource_id):
        """Whether it may be destroyed now."""
        return self.program.ask("teardown", **place(kind), id=resource_id, owner=kind.owner(PROVIDER))

    def destroy(self, kind, resource_id):
        self.program.ask("destroy", **place(kind), id=resource_id, owner=kind.owner(PROVIDER))


def place(kind):
    """Where a kind is."""
    return {"namespace": kind.namespace(PROVIDER), "type": kind.type(PROVIDER)}

"""What Omni's own controllers do with what a provider asks of it: they hold it until its teardown.

The finalizer has a name of the stand-in's; no provider may rest on that of a real one.
"""

from __future__ import annotations

from app.omni.kinds import SHARED
from lab.omni.store import RUNNING, Place, Store, place_of
from protos.gen.cosi import state_pb2

HELD = tuple(Place(SHARED, f"{name}.omni.sidero.dev") for name in ("MachineRequestStatuses", "ConfigPatchRequests"))
FINALIZER = "InfraProviderRequestController"


class Requested:
    """Puts Omni's finalizer on what is asked, and takes it off what is torn down."""

    def __init__(self, store: Store) -> None:
        self._store = store
        for place in HELD:
            store.observe(place, self._attend)

    def _attend(self, event: state_pb2.Event) -> None:
        present = self._store.find(place_of(event.resource), event.resource.metadata.id)
        if present is None:
            return
        metadata = present.metadata
        others = [name for name in metadata.finalizers if name != FINALIZER]
        wanted = [*others, FINALIZER] if metadata.phase == RUNNING else others
        if sorted(wanted) != sorted(metadata.finalizers):
            new = state_pb2.Resource()
            new.CopyFrom(present)
            new.metadata.finalizers[:] = wanted
            self._store.update(new, metadata.owner)

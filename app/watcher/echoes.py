"""What the watcher itself has written comes back through its watches: a copy that the mirror has already.

Each such echo would cost a round trip to Redis only to find that out. Where Redis was emptied meanwhile, the mirror
is filled anew from lists, which are never taken for echoes.
"""

from __future__ import annotations

from app.omni.kinds import Kind
from app.omni.resource import Resource


class Echoes:
    """The echoes that are still to come, at most one a resource; used by the threads of one process."""

    def __init__(self) -> None:
        self._written: dict[tuple[Kind, str], tuple[int, int]] = {}

    def expect(self, resource: Resource) -> None:
        """This copy was written to Omni; the caller puts it into the mirror."""
        self._written[resource.kind, resource.id] = resource.order

    def forget(self, kind: Kind) -> None:
        """The mirror was made as a list says, which may be older than what is to come."""
        for place in list(self._written):
            if place[0] is kind:
                self._written.pop(place, None)

    def is_one(self, resource: Resource) -> bool:
        """Whether this is the echo that was expected; it comes once."""
        place = (resource.kind, resource.id)
        if self._written.get(place) != resource.order:
            return False
        self._written.pop(place, None)
        return True

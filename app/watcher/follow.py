"""Follow Omni: one watch per kind, each in a thread of its own, feeding the mirror and waking the machines it touches.

A watch that ends begins anew with everything there is, so whatever was missed is made good. That is also done every
10 minutes to a watch in good health, since one that fell silent cannot be told from one with nothing to say.
"""

from __future__ import annotations

import threading
import time

import redis
import structlog

from app.omni.client import Omni
from app.omni.errors import OmniError
from app.omni.kinds import PICTURE_KINDS, Kind
from app.omni.resource import Resource
from app.omni.watch import Bootstrap, Changed, Destroyed, Watch
from app.state.mirror import Mirror
from app.state.wake import Alarms
from app.watcher.echoes import Echoes

log = structlog.get_logger()

# Silent watches are the exception; a list of some thousand resources each ten minutes is nothing to Omni.
COMPARE_EVERY_S = 600.0
# A change that came late is told for so long, so that it is seen by whoever asks each half minute.
LAG_HELD_S = 60.0
# An Omni that restarts is back within seconds; it must not be stormed by eight watches meanwhile.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0


class Follower:
    """Follows one kind."""

    def __init__(self, kind: Kind, omni: Omni, mirror: Mirror, alarms: Alarms, echoes: Echoes) -> None:
        self.kind = kind
        self._echoes = echoes
        self.established = threading.Event()
        self.problem = "Omni has not been reached yet"
        self._omni, self._mirror, self._alarms = omni, mirror, alarms
        self._watch: Watch | None = None
        self._stopping = False
        self._rebuilt_s = time.monotonic()
        self._generation = 0
        self._lag_s, self._changed_s = 0.0, 0.0
        self._thread = threading.Thread(target=self._run, name=f"follow-{kind.value}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stopping = True
        self.restart()

    def restart(self, *, rebuild: bool = False) -> None:
        """Begin the watch anew. rebuild: the mirror is gone, so nothing is established until that is done."""
        if rebuild:
            self._generation += 1
            self.established.clear()
        if self._watch is not None:
            self._watch.cancel()

    def lag_s(self) -> float:
        """How long the latest change took to get here, by both clocks; 0 where none came lately."""
        return self._lag_s if time.monotonic() - self._changed_s < LAG_HELD_S else 0.0

    def age_s(self) -> float:
        """Seconds since the kind was last compared whole."""
        return time.monotonic() - self._rebuilt_s

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping:
            began_s = time.monotonic()
            try:
                self._follow()
                continue  # cancelled: begin anew at once
            except OmniError as error:
                self.established.clear()
                self.problem = str(error)
                log.debug("watch_ended", kind=self.kind.value, error=str(error))
            except redis.RedisError as error:
                self.established.clear()
                self.problem = f"Redis does not answer ({type(error).__name__})"
                log.debug("mirror_not_written", kind=self.kind.value, error=type(error).__name__)
            except Exception as error:  # the outer edge: a thread that ends would leave its kind stale for good
                self.established.clear()
                self.problem = f"{self.kind.value} cannot be followed: {type(error).__name__}: {error}"
                log.exception("follow_broke", kind=self.kind.value)
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began_s > _LONGEST_PAUSE_S else pause_s
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _follow(self) -> None:
        generation = self._generation
        with self._omni.watch(self.kind) as watch:
            self._watch = watch
            if self._stopping:
                return
            for event in watch:
                match event:
                    case Bootstrap(resources):
                        self._replace(resources, generation)
                    case Changed(resource):
                        self._lag_s, self._changed_s = max(0.0, time.time() - resource.updated_s), time.monotonic()
                        if not self._echoes.is_one(resource):
                            self._mirror.put_and_wake(resource)
                    case Destroyed(resource):
                        self._destroyed(resource)

    def _replace(self, resources: tuple[Resource, ...], generation: int) -> None:
        found = list(resources)
        if self.kind is Kind.WIPE_STATUS:
            listed = {r.id for r in found}
            gone = self._mirror.holders(self.kind) - listed
            found += [r for r in (self._omni.get(self.kind, m) for m in sorted(gone)) if r is not None]
        self._alarms.wake(*self._mirror.replace(self.kind, found))
        self._echoes.forget(self.kind)
        self._rebuilt_s = time.monotonic()
        if generation == self._generation:  # else Redis was emptied meanwhile, and this is lost
            self.problem = ""
            self.established.set()
        log.debug("watch_established", kind=self.kind.value, resources=len(found))

    def _destroyed(self, resource: Resource) -> None:
        # Without its wipe record a machine may look lost for good, so Omni is asked once more.
        still = self._omni.get(self.kind, resource.id) if self.kind is Kind.WIPE_STATUS else None
        if still is not None and still.created_ns == resource.created_ns:
            return
        self._mirror.remove(resource)
        if still is not None:
            self._mirror.put(still)
        self._alarms.wake(resource.id)


class Followers:
    """Follows all kinds that make up a machine's picture."""

    def __init__(self, omni: Omni, mirror: Mirror, alarms: Alarms, echoes: Echoes) -> None:
        self._followers = [Follower(kind, omni, mirror, alarms, echoes) for kind in PICTURE_KINDS]

    def start(self) -> None:
        """Begin to follow."""
        for follower in self._followers:
            follower.start()

    def stop(self) -> None:
        """End all watches."""
        for follower in self._followers:
            follower.stop()

    def established(self) -> bool:
        """Whether everything that Omni has stands in the mirror and changes come in."""
        return all(f.established.is_set() for f in self._followers)

    def lag_s(self) -> float:
        """How long the latest changes took to get here; 0 where none came lately."""
        return max(f.lag_s() for f in self._followers)

    def compared_ago_s(self) -> float:
        """Since when the kind that was longest not compared whole has not been."""
        return max(f.age_s() for f in self._followers)

    def problem(self) -> str:
        """What keeps it from being so, or ''."""
        return next((f.problem for f in self._followers if not f.established.is_set()), "")

    def rebuild(self) -> None:
        """Fill the mirror anew: Redis was emptied."""
        for follower in self._followers:
            follower.restart(rebuild=True)

    def compare(self) -> None:
        """Begin watches anew that have not been compared for ten minutes, one at a time."""
        oldest = max(self._followers, key=Follower.age_s)
        if oldest.established.is_set() and oldest.age_s() > COMPARE_EVERY_S:
            oldest.restart()

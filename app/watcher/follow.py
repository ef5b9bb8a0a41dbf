"""Follow Omni: one watch per kind, each in a thread of its own, feeding the mirror and waking the machines it touches.

A watch that ends begins anew with everything there is, so whatever was missed is made good. That is also done every
10 minutes to a watch in good health, since one that fell silent cannot be told from one with nothing to say. A watch
that does not even tell what there is ends by itself (see app/omni/watch.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice

import redis
import structlog

from app.omni.client import Omni
from app.omni.errors import AccountRefused, OmniError
from app.omni.kinds import PICTURE_KINDS, Kind
from app.omni.resource import Resource
from app.omni.watch import Bootstrap, Changed, Destroyed, Watch, WatchEvent
from app.state.mirror import Mirror
from app.state.wake import Alarms
from app.watcher.echoes import Echoes
from app.watcher.problem import NOT_YET, Problem, fault, redis_away

log = structlog.get_logger()

# Silent watches are the exception; a list of some thousand resources each ten minutes is nothing to Omni.
COMPARE_EVERY_S = 600.0
# A change that came late is told for so long, so that it is seen by whoever asks each half minute.
LAG_HELD_S = 60.0
# All that there is of a kind takes some ten MB until it is in the mirror, so kinds take turns; behind one that says
# nothing the others wait no longer than this.
TURN_S = 5.0
# An Omni that restarts is back within seconds; it must not be stormed by eight watches meanwhile.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0


class Follower:
    """Follows one kind. turns: held by the one kind that takes in everything there is."""

    def __init__(
        self, kind: Kind, omni: Omni, mirror: Mirror, alarms: Alarms, echoes: Echoes, *, turns: threading.Lock
    ) -> None:
        self.kind = kind
        self._echoes, self._turns = echoes, turns
        self.established = threading.Event()
        self.problem: Problem | None = NOT_YET
        self._omni, self._mirror, self._alarms = omni, mirror, alarms
        self._watch: Watch | None = None
        self._stopping = False
        self._rebuilt_s = self._began_s = time.monotonic()
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
        self._began_s = time.monotonic()
        if self._watch is not None:
            self._watch.cancel()

    def unproven_s(self) -> float:
        """For how long a watch in good health has run: nobody knows whether it has missed anything since."""
        return time.monotonic() - self._began_s if self.established.is_set() else 0.0

    def lag_s(self) -> float:
        """How long the latest change took to get here, by both clocks; 0 where none came lately."""
        return self._lag_s if time.monotonic() - self._changed_s < LAG_HELD_S else 0.0

    def age_s(self) -> float:
        """Seconds since the kind was last compared whole."""
        return time.monotonic() - self._rebuilt_s

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping:
            try:
                self._follow()
                continue  # cancelled: begin anew at once
            except OmniError as error:
                self._broken(Problem.of(error))
                if isinstance(error, AccountRefused):
                    pause_s = _LONGEST_PAUSE_S  # a person has to mend that
            except redis.RedisError as error:
                self._broken(redis_away(error))
            except Exception as error:  # the outer edge: a thread that ends would leave its kind stale for good
                self._broken(fault(f"{self.kind.value} cannot be followed", error))
                log.exception("follow_broke", kind=self.kind.value)
            pause_s = _FIRST_PAUSE_S if time.monotonic() - self._began_s > _LONGEST_PAUSE_S else pause_s
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _broken(self, problem: Problem) -> None:
        self.problem = problem
        self.established.clear()
        log.debug("watch_ended", kind=self.kind.value, code=problem.code, problem=problem.words)

    def _follow(self) -> None:
        self._began_s = time.monotonic()
        with self._omni.watch(self.kind) as watch:
            self._watch = watch
            # Read only now: whoever has it rebuilt from here on cancels this watch, and before that the one before.
            generation = self._generation
            if self._stopping:
                return
            events = iter(watch)
            self._begin(events, generation)
            for event in events:
                self._heed(event, generation)
                del event  # it holds the message that it came in, and the next one may be days off

    def _begin(self, events: Iterator[WatchEvent], generation: int) -> None:
        """Take in everything there is, and hold on to nothing of it."""
        our_turn = self._turns.acquire(timeout=TURN_S)
        try:
            for event in islice(events, 1):
                self._heed(event, generation)
        finally:
            if our_turn:
                self._turns.release()

    def _heed(self, event: WatchEvent, generation: int) -> None:
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
            self.problem = None
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
        turns = threading.Lock()
        self._followers = [Follower(kind, omni, mirror, alarms, echoes, turns=turns) for kind in PICTURE_KINDS]

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

    def problem(self) -> Problem | None:
        """What keeps it from being so."""
        return next((f.problem for f in self._followers if not f.established.is_set()), None)

    def rebuild(self) -> None:
        """Fill the mirror anew: Redis was emptied."""
        for follower in self._followers:
            follower.restart(rebuild=True)

    def compare(self) -> None:
        """Begin the watch anew that is longest unproven, if that is ten minutes: one at a time, as Omni has to list."""
        longest = max(self._followers, key=Follower.unproven_s)
        if longest.unproven_s() > COMPARE_EVERY_S:
            longest.restart()

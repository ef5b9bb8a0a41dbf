"""The power sweep: every configured BMC is read once per interval, side by side, so a dead one costs nobody else.

One task reads up to 250 BMCs. Beat starts part 0 without knowing how many machines there are; it enqueues the others.
Each part takes a slot in Redis for most of the interval, and for as long as it reads: sweeps that come twice, or piled
up while no worker ran, find it taken and end. (An end of life in the message would be read by another host's clock
than wrote it.)

A BMC that somebody else uses, or is about to, is left out, since that one reads it; one that has failed is asked last,
and after some failures only now and then; one that refused its login not at all.
"""

from __future__ import annotations

import enum
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import redis
import structlog

from app.machine.model import BmcConfiguration, OperationName, PowerState
from app.state.bmc_notes import BmcTrouble
from app.state.clock import cut_lifetimes
from app.state.connection import now_ms
from app.state.facts import Notes
from app.state.metrics import note_sweep
from app.state.mirror_reader import MirrorUnreadable
from config.celery import QUEUE_POLL
from workers.bmc.errors import BmcAuthenticationFailed, BmcError, BmcInUse
from workers.bmc.place import place_of
from workers.celery_app import app
from workers.services import Services, current

log = structlog.get_logger()

PART = 250
# Two hundred sessions at a time were the fastest with every kind; and a socket number above 1,023 would end pyghmi.
SIDE_BY_SIDE = 200
# A BMC that does not answer holds its place for up to eight seconds. So those that failed before get a quarter of the
# places and begin within half of the interval, or else with the next sweep: a rack without power costs others nothing.
SUSPECTS_SIDE_BY_SIDE = 50
_SUSPECTS_SHARE = 0.5
# Less than the whole interval, so that a sweep that comes a little early is not lost.
_SLOT_SHARE = 0.8
# A part that reads says so with each BMC that it is done with. Where one takes longer, its lease keeps others from it.
_READING_MS = 60_000
_SAID_EVERY_S = 5.0
# No pause is longer; one that seems so stands from before the clock was put back.
_LONGEST_PAUSE_MS = 300_000

# What is known of a machine whose turn comes later than that is read again: there may be another login by then, and the
# old one is not to be tried once more; or an operation, which must not wait for the sweep.
_FRESH_S = 0.5

_sessions = threading.BoundedSemaphore(SIDE_BY_SIDE)
_suspects = threading.BoundedSemaphore(SUSPECTS_SIDE_BY_SIDE)


class Outcome(enum.StrEnum):
    """What came of one BMC in a sweep."""

    READ = "read"
    UNREAD = "unread"
    REFUSED = "refused"
    IN_USE = "in use"
    PUT_OFF = "put off"


@dataclass(frozen=True, slots=True)
class Swept:
    """What came of a sweep: the power of those that were asked or refuse it, and the outcome of all."""

    states: dict[str, PowerState]
    outcomes: Counter[Outcome]


@app.task(name="power_sweep", queue=QUEUE_POLL, ignore_result=True, send_events=False, acks_late=False)  # type: ignore[untyped-decorator]
def power_sweep(part: int = 0) -> None:
    """Read the power of one part of the machines, unless that was done a moment ago, or is being done."""
    services = current()
    slot_ms = max(1, int(services.settings.power_poll_interval_s * _SLOT_SHARE * 1000))
    if not services.mirror.complete():
        return
    ids = services.mirror.machine_ids()
    if part == 0 and len(ids) > PART and _take(services, "om:sweep:parts", slot_ms):
        for other in range(1, math.ceil(len(ids) / PART)):
            power_sweep.apply_async(kwargs={"part": other})
    slot = f"om:sweep:{part}"
    if not _take(services, slot, max(slot_ms, _READING_MS)):
        return
    began_s, began_ms = time.monotonic(), now_ms(services.redis)
    try:
        swept = sweep(services, ids[part * PART : (part + 1) * PART], _Progress(services.redis, slot))
        unread = swept.outcomes[Outcome.UNREAD] + swept.outcomes[Outcome.REFUSED]
        in_use, put_off = swept.outcomes[Outcome.IN_USE], swept.outcomes[Outcome.PUT_OFF]
        note_sweep(services.redis, part, began_ms, unread, in_use=in_use, put_off=put_off)
    finally:
        left_ms = slot_ms - int((time.monotonic() - began_s) * 1000)
        services.redis.pexpire(slot, max(1, left_ms))


def _take(services: Services, key: str, lives_ms: int) -> bool:
    if services.redis.set(key, 1, nx=True, px=lives_ms):
        return True
    cut_lifetimes(services.redis, {key: lives_ms})
    return False


class _Progress:
    """Says that a part is still being read, so that it does not begin a second time beside itself."""

    def __init__(self, client: redis.Redis, slot: str) -> None:
        self._redis, self._slot = client, slot
        self._said_s = time.monotonic()

    def goes_on(self) -> None:
        """One more BMC is done with."""
        if time.monotonic() - self._said_s >= _SAID_EVERY_S:
            self._said_s = time.monotonic()
            self._redis.pexpire(self._slot, _READING_MS)


def sweep(services: Services, machine_ids: list[str], progress: _Progress | None = None) -> Swept:
    """Read these machines' power side by side, and note each as it comes in. What cannot be read is UNKNOWN."""
    outcomes: Counter[Outcome] = Counter()
    targets: list[_Target] = []
    loaded_s, given_way = time.monotonic(), _gives_way(services, machine_ids)
    for machine, notes in services.mirror.load_noted(machine_ids):
        if machine.bmc_configuration is None:
            continue
        trouble = _trouble(machine.bmc_configuration, notes)
        if machine.id in given_way:
            outcomes[Outcome.IN_USE] += 1
        elif trouble and _put_off(trouble, int(machine.now.timestamp() * 1000)):
            outcomes[Outcome.PUT_OFF] += 1
        else:
            targets.append(_Target(machine.id, machine.bmc_configuration, trouble.count if trouble else 0))
    found = list(_read_all(services, sorted(targets, key=lambda target: target.failures), loaded_s, progress))
    outcomes.update(outcome for _, outcome, _ in found)
    return Swept({machine_id: state for machine_id, _, state in found if state is not None}, outcomes)


@dataclass(frozen=True, slots=True)
class _Target:
    """A BMC to be read. failures: in a row, up to now."""

    machine_id: str
    configuration: BmcConfiguration
    failures: int


def _gives_way(services: Services, machine_ids: list[str]) -> set[str]:
    """Those of these machines whose BMC is left to an operation. A wipe runs for hours, and asks no BMC."""
    return {found for found, name in services.leases.at_work(machine_ids).items() if name != OperationName.WIPE}


def _trouble(configuration: BmcConfiguration, notes: Notes) -> BmcTrouble | None:
    """What goes wrong with the BMC that is configured now."""
    trouble = notes.bmc_trouble
    return trouble if trouble and trouble.place == place_of(configuration) else None


def _put_off(trouble: BmcTrouble, at_ms: int) -> bool:
    return 0 < trouble.next_ms - at_ms <= _LONGEST_PAUSE_MS


def _read_all(
    services: Services, targets: list[_Target], loaded_s: float, progress: _Progress | None
) -> Iterable[tuple[str, Outcome, PowerState | None]]:
    if not targets:
        return
    until_s = time.monotonic() + services.settings.power_poll_interval_s * _SUSPECTS_SHARE
    ahead_ms = now_ms(services.redis) - math.ceil(time.monotonic() * 1000)
    reader = _Reader(services, progress, ahead_ms, until_s, loaded_s)
    with ThreadPoolExecutor(max_workers=min(len(targets), PART)) as pool:  # greenlets in the poll worker
        yield from pool.map(reader.read_and_note, targets)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the BMCs of one part, of which was known at `loaded_s` what the targets say.

    redis_ahead_ms: what to add to our monotonic clock for a time that is never later than Redis' own.
    """

    services: Services
    progress: _Progress | None
    redis_ahead_ms: int
    suspects_until_s: float
    loaded_s: float

    def read_and_note(self, target: _Target) -> tuple[str, Outcome, PowerState | None]:
        if not target.failures:
            return self._read_in_turn(target)
        with _suspects:
            if time.monotonic() > self.suspects_until_s:
                return target.machine_id, Outcome.PUT_OFF, None
            return self._read_in_turn(target)

    def _read_in_turn(self, target: _Target) -> tuple[str, Outcome, PowerState | None]:
        with _sessions:
            read_ms = int(time.monotonic() * 1000) + self.redis_ahead_ms
            outcome, state = self._read(target)
            if state is not None:
                self.services.power_notes.observed_at(target.machine_id, state, read_ms)
            if self.progress is not None:
                self.progress.goes_on()
            return target.machine_id, outcome, state

    def _read(self, target: _Target) -> tuple[Outcome, PowerState | None]:
        """What came of it, and the state to note."""
        try:
            if (configuration := self._configuration(target)) is None:
                return Outcome.IN_USE, None
            return Outcome.READ, _read(self.services, target.machine_id, configuration)
        except BmcInUse:
            return Outcome.IN_USE, None
        except BmcAuthenticationFailed:
            return Outcome.REFUSED, PowerState.UNKNOWN
        except BmcError as error:
            log.debug("power_not_read", machine_id=target.machine_id, error=str(error))
        except (redis.RedisError, MirrorUnreadable):
            raise
        except Exception as error:  # noqa: BLE001  # the outer edge: one BMC must not cost the others their reading
            log.warning("power_not_read", machine_id=target.machine_id, error=type(error).__name__)
        return Outcome.UNREAD, PowerState.UNKNOWN

    def _configuration(self, target: _Target) -> BmcConfiguration | None:
        """The login as it is now; None where there is none any more, or an operation is to have the BMC."""
        if time.monotonic() - self.loaded_s < _FRESH_S:
            return target.configuration
        if _gives_way(self.services, [target.machine_id]):
            return None
        return self.services.mirror.load(target.machine_id).bmc_configuration


def _read(services: Services, machine_id: str, configuration: BmcConfiguration) -> PowerState:
    bmc = services.bmcs.open(machine_id, configuration, waits=False)
    try:
        return bmc.power_state()
    finally:
        try:
            bmc.close()
        except Exception as error:  # noqa: BLE001  # the outer edge again: what was read stands
            log.debug("bmc_not_closed", machine_id=machine_id, error=type(error).__name__)

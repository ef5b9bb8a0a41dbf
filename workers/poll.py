"""The power sweep: every configured BMC is read once per interval, side by side, so a dead one costs nobody else.

One task reads up to 250 BMCs. Beat starts part 0 without knowing how many machines there are; it enqueues the others.
Each part takes a slot in Redis for most of the interval: sweeps that come twice, or piled up while no worker ran,
find it taken and end. (An end of life in the message would be read by another host's clock than wrote it.)
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from app.machine.model import BmcConfiguration, PowerState
from app.state.clock import cut_lifetimes
from app.state.connection import now_ms
from app.state.logins import RefusedLogins
from app.state.metrics import note_sweep
from config.celery import QUEUE_POLL
from workers.bmc.errors import BmcAuthenticationFailed, BmcError
from workers.celery_app import app
from workers.services import Services, current

log = structlog.get_logger()

PART = 250
# Less than the whole interval, so that a sweep that comes a little early is not lost.
_SLOT_SHARE = 0.8


@app.task(name="power_sweep", queue=QUEUE_POLL, ignore_result=True, send_events=False, acks_late=False)  # type: ignore[untyped-decorator]
def power_sweep(part: int = 0) -> None:
    """Read the power of one part of the machines, unless that was done a moment ago."""
    services = current()
    slot_ms = max(1, int(services.settings.power_poll_interval_s * _SLOT_SHARE * 1000))
    if not services.mirror.complete() or not _take_slot(services, f"om:sweep:{part}", slot_ms):
        return
    ids = services.mirror.machine_ids()
    if part == 0:
        for other in range(1, math.ceil(len(ids) / PART)):
            power_sweep.apply_async(kwargs={"part": other})
    began_ms = now_ms(services.redis)
    states = sweep(services, ids[part * PART : (part + 1) * PART])
    note_sweep(services.redis, part, began_ms, sum(state is PowerState.UNKNOWN for state in states.values()))


def _take_slot(services: Services, key: str, slot_ms: int) -> bool:
    if services.redis.set(key, 1, nx=True, px=slot_ms):
        return True
    cut_lifetimes(services.redis, {key: slot_ms})
    return False


def sweep(services: Services, machine_ids: list[str]) -> dict[str, PowerState]:
    """Read these machines' power side by side, and note each as it comes in. What cannot be read is UNKNOWN."""
    targets = [
        (machine.id, machine.bmc_configuration)
        for machine in services.mirror.load_many(machine_ids)
        if machine.bmc_configuration is not None
    ]
    if not targets:
        return {}
    reader = _Reader(services, services.logins, _redis_ahead_ms(services))
    with ThreadPoolExecutor(max_workers=min(len(targets), PART)) as pool:  # greenlets in the poll worker
        return dict(pool.map(lambda target: reader.read_and_note(*target), targets))


def _redis_ahead_ms(services: Services) -> int:
    """What to add to our monotonic clock for a time that is never later than Redis' own."""
    return now_ms(services.redis) - math.ceil(time.monotonic() * 1000)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the BMCs of one part."""

    services: Services
    logins: RefusedLogins
    redis_ahead_ms: int

    def read_and_note(self, machine_id: str, configuration: BmcConfiguration) -> tuple[str, PowerState]:
        read_ms = int(time.monotonic() * 1000) + self.redis_ahead_ms
        state, trouble, refused = self._state(machine_id, configuration)
        self.services.power_notes.observed_at(machine_id, state, read_ms, trouble, refused=refused)
        return machine_id, state

    def _state(self, machine_id: str, configuration: BmcConfiguration) -> tuple[PowerState, str, bool]:
        """The state, why it is not known, and whether that is for the login."""
        if self.logins.login_refused(machine_id, configuration):
            return PowerState.UNKNOWN, "", True
        try:
            return _read(self.services, machine_id, configuration), "", False
        except BmcAuthenticationFailed as error:
            log.warning("bmc_login_refused", machine_id=machine_id, error=error.words())
            self.logins.note_refused(machine_id, configuration)
            return PowerState.UNKNOWN, error.words(), True
        except BmcError as error:
            log.debug("power_not_read", machine_id=machine_id, error=str(error))
            return PowerState.UNKNOWN, error.words(), False
        except Exception as error:  # noqa: BLE001  # the outer edge: one BMC must not cost the others their reading
            log.warning("power_not_read", machine_id=machine_id, error=type(error).__name__)
            return PowerState.UNKNOWN, type(error).__name__, False


def _read(services: Services, machine_id: str, configuration: BmcConfiguration) -> PowerState:
    bmc = services.bmcs.open(machine_id, configuration)
    try:
        return bmc.power_state()
    finally:
        try:
            bmc.close()
        except Exception as error:  # noqa: BLE001  # the outer edge again: what was read stands
            log.debug("bmc_not_closed", machine_id=machine_id, error=type(error).__name__)

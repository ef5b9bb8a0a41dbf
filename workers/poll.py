"""The power sweep: every configured BMC is read once per interval, side by side, so a dead one costs nobody else.

One task reads up to 250 BMCs. Beat starts part 0 without knowing how many machines there are; it enqueues the others.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import structlog

from app.machine.model import BmcConfiguration, PowerState
from config.celery import QUEUE_POLL
from workers.bmc.client import open_bmc
from workers.bmc.errors import BmcError
from workers.celery_app import app
from workers.services import Services, current

log = structlog.get_logger()

PART = 250


@app.task(name="power_sweep", queue=QUEUE_POLL, ignore_result=True, acks_late=False)  # type: ignore[untyped-decorator]
def power_sweep(part: int = 0) -> None:
    """Read the power of one part of the machines."""
    services = current()
    if not services.mirror.complete():
        return
    ids = services.mirror.machine_ids()
    if part == 0:
        for other in range(1, math.ceil(len(ids) / PART)):
            power_sweep.apply_async(kwargs={"part": other}, expires=services.settings.power_poll_interval_s)
    sweep(services, ids[part * PART : (part + 1) * PART])


def sweep(services: Services, machine_ids: list[str]) -> dict[str, PowerState]:
    """Read these machines' power side by side, and note it. A BMC that cannot be read is UNKNOWN."""
    targets = [
        (machine.id, machine.bmc_configuration)
        for machine in services.mirror.load_many(machine_ids)
        if machine.bmc_configuration is not None
    ]
    if not targets:
        return {}
    with ThreadPoolExecutor(max_workers=min(len(targets), PART)) as pool:  # greenlets in the poll worker
        states = dict(zip((m for m, _ in targets), pool.map(lambda t: _read(*t), targets), strict=True))
    services.power_notes.observed(states)
    return states


def _read(machine_id: str, configuration: BmcConfiguration) -> PowerState:
    try:
        bmc = open_bmc(configuration)
        try:
            return bmc.power_state()
        finally:
            bmc.close()
    except BmcError as error:
        log.debug("power_not_read", machine_id=machine_id, error=str(error))
        return PowerState.UNKNOWN

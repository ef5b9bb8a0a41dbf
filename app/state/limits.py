"""What keeps an operation that is due from beginning now, for the good of the whole site."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from app.machine.model import Operation, OperationName
from app.state.power_turns import AGAIN_S, LEAD_MS, PowerTurns
from app.state.waiting import powers_on
from app.state.wipes import WipeSlots
from config.settings import Settings

# A wipe may end at any time.
_WIPE_AGAIN_S = 1.0
# For who is next in the line, where the one before is late.
_SOONEST_S = 0.2


@dataclass(frozen=True, slots=True)
class Wait:
    """Why an operation does not begin now, in words, and in how many seconds to ask again."""

    words: str
    again_s: float


class Limits:
    """`--max-concurrent-wipes` and `--max-power-ons-per-minute`."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._wipes = WipeSlots(client, settings.max_concurrent_wipes)
        self._turns = PowerTurns(client, settings.max_power_ons_per_minute)
        wipes = {OperationName.WIPE} if settings.max_concurrent_wipes else set()
        power_ons = {OperationName.POWER_ON, OperationName.REBOOT} if settings.max_power_ons_per_minute else set()
        self.limited = frozenset(wipes | power_ons)

    def wait(self, machine_id: str, operation: Operation) -> Wait | None:
        """Why it must wait; None where it may begin. The machine's queued mark is set. Raises `redis.RedisError`."""
        if operation.name is OperationName.WIPE and not self._wipes.take(machine_id):
            return Wait("as many wipes run as may (--max-concurrent-wipes)", _WIPE_AGAIN_S)
        wait_s = self._turns.ask(machine_id) if powers_on(operation) else 0.0
        if not wait_s:
            return None
        early_s = wait_s - LEAD_MS / 1000  # of its moment it is called
        return Wait(self._turns.words(wait_s), min(max(early_s, _SOONEST_S), AGAIN_S))

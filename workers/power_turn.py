"""The moment at which a machine may draw power: taken before the command, given back where nothing was sent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from app.omni.errors import OmniError
from workers.bmc.errors import BmcError
from workers.errors import NotRecorded
from workers.keeper import DecideAnew, LeaseLost
from workers.turn import NotDue, Turn

# Between its moment and its command lies the record in Omni, which takes some hundredths of a second. An Omni that
# falters would hold up many, and let them all go at once.
LATE_S = 0.5
# What keeps a command from being sent, once its moment is taken.
_NOT_SENT = (OmniError, LeaseLost, DecideAnew, NotDue, NotRecorded, redis.RedisError)


class PowerTurn:
    """A moment that was taken."""

    def __init__(self, turn: Turn) -> None:
        self._turns, self._machine_id = turn.services.power_turns, turn.machine.id
        self._wait()

    def check(self) -> None:
        """Right before the command: a moment that has passed is no good, and another one is taken. Raises NotDue."""
        if self._turns.limited and time.monotonic() - self._began_s > LATE_S:
            self.give_back()
            self._wait()

    def give_back(self) -> None:
        """Nothing was sent."""
        try:
            self._turns.give_back(self._moment)
        except redis.RedisError:
            return  # the next machine waits for a moment that nobody uses

    def _wait(self) -> None:
        moment = self._turns.take(self._machine_id)
        if not moment.at_ms:
            raise NotDue(self._turns.words(moment.wait_s))
        time.sleep(moment.wait_s)
        self._moment, self._began_s = moment, time.monotonic()


@contextmanager
def power_turn(turn: Turn) -> Iterator[PowerTurn]:
    """Wait for the machine's moment; the one command is sent inside. Raises NotDue where that is too far off."""
    held = PowerTurn(turn)
    try:
        yield held
    except BmcError as error:
        if error.executed is False:
            held.give_back()
        raise
    except _NOT_SENT:
        held.give_back()
        raise

"""The moment at which a machine may draw power: taken right before the command, given back where nothing was sent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from app.omni.errors import OmniError
from app.state.power_turns import Moment
from workers.bmc.errors import BmcError
from workers.errors import NotRecorded
from workers.keeper import DecideAnew, LeaseLost
from workers.turn import NotDue, Turn

# What keeps a command from being sent, once its moment is taken.
_NOT_SENT = (OmniError, LeaseLost, DecideAnew, NotDue, NotRecorded, redis.RedisError)


@contextmanager
def power_turn(turn: Turn) -> Iterator[None]:
    """Wait for the machine's moment; the one command is sent inside. Raises NotDue where that is too far off."""
    turns = turn.services.power_turns
    moment = turns.take(turn.machine.id)
    if not moment.at_ms:
        raise NotDue(turns.words(moment.wait_s))
    try:
        time.sleep(moment.wait_s)
        yield
    except BmcError as error:
        if error.executed is False:
            _give_back(turn, moment)
        raise
    except _NOT_SENT:
        _give_back(turn, moment)
        raise


def _give_back(turn: Turn, moment: Moment) -> None:
    try:
        turn.services.power_turns.give_back(moment)
    except redis.RedisError:
        return  # the next machine waits for a moment that nobody uses

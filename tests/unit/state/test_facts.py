"""What is known of a machine: power that goes stale, and agents that are there, not there, or not known."""

from __future__ import annotations

import pytest

from app.machine.model import PowerState
from app.state.facts import Notes, Tunnel, agent_accessible, power_on

NOW = 1_000_000_000
MINUTE = 60_000


def tunnel(opened_ms: int, hello_ms: int) -> Tunnel:
    return Tunnel("g", "a", 1, opened_ms, hello_ms)


@pytest.mark.parametrize(
    ("notes", "wanted"),
    [
        (Notes(), None),
        (Notes(power=PowerState.ON, power_ms=NOW - 1000), True),
        (Notes(power=PowerState.OFF, power_ms=NOW - 1000), False),
        (Notes(power=PowerState.UNKNOWN, power_ms=NOW - 1000), None),
        (Notes(power=PowerState.ON, power_ms=NOW - 6 * MINUTE), None),
        (Notes(power=PowerState.OFF, power_ms=NOW - 1000, tunnel=tunnel(NOW - 500, NOW - 400)), None),
        (Notes(power=PowerState.OFF, power_ms=NOW - 300, tunnel=tunnel(NOW - 500, NOW - 400)), False),
    ],
)
def test_power_is_what_the_bmc_said_lately_unless_an_agent_spoke_since(notes: Notes, wanted: bool | None) -> None:
    assert power_on(notes, NOW) is wanted


@pytest.mark.parametrize(
    ("situation", "notes", "wanted"),
    [
        ("nothing is known", Notes(), None),
        ("it answered", Notes(tunnel=tunnel(NOW - 9000, NOW - 8000)), True),
        ("a tunnel without an answer yet", Notes(tunnel=tunnel(NOW - 9000, 0)), None),
        ("off", Notes(power=PowerState.OFF, power_ms=NOW, tunnel=tunnel(NOW - 9000, NOW - 8000)), False),
        ("reset since its last answer", Notes(tunnel=tunnel(NOW - 9000, NOW - 8000), acted_ms=NOW - 7000), False),
        ("a new tunnel after the reset", Notes(tunnel=tunnel(NOW - 6000, NOW - 5000), acted_ms=NOW - 7000), True),
        ("the old tunnel answers at once", Notes(tunnel=tunnel(NOW - 9000, NOW - 6990), acted_ms=NOW - 7000), False),
        ("it survived the reset", Notes(tunnel=tunnel(NOW - 90000, NOW - 100), acted_ms=NOW - 30000), True),
        ("reset, no tunnel", Notes(acted_ms=NOW - 7000, hello_ms=NOW - 8000), False),
        ("answered after the reset, tunnel lost just now", Notes(acted_ms=1, hello_ms=2, gone_ms=NOW - 10), None),
        ("gone for a minute while all watched", Notes(gone_ms=NOW - MINUTE, tracking_ms=NOW - 9 * MINUTE), False),
        ("gone for less", Notes(gone_ms=NOW - MINUTE + 1, tracking_ms=NOW - 9 * MINUTE), None),
        ("gone for long, watched for less", Notes(gone_ms=NOW - 9 * MINUTE, tracking_ms=NOW - MINUTE + 1), None),
        ("never seen, watched for a minute", Notes(tracking_ms=NOW - MINUTE), False),
        ("gone for long, nobody watched", Notes(gone_ms=NOW - 9 * MINUTE), None),
    ],
)
def test_agent_is_there_not_there_or_not_known(situation: str, notes: Notes, wanted: bool | None) -> None:
    assert agent_accessible(notes, NOW) is wanted, situation

"""What holds of the turns to draw power, whoever asks, sends, gives up or vanishes, in whatever order."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from unittest.mock import patch

import fakeredis
from hypothesis import given, settings
from hypothesis import strategies as st

from app.state.lease import Leases
from app.state.power_turns import LEAD_MS, MOST_WAIT_MS, Moment, PowerTurns

MACHINES = [f"4c4c4544-0042-3510-8051-{number:012}" for number in range(4)]
RATES = st.sampled_from([1, 6, 30, 600])
steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "take", "take and give back", "end", "time passes"]),
        st.sampled_from(MACHINES),
        st.integers(0, 20_000),
    ),
    max_size=40,
)
quick = settings(max_examples=60, deadline=None)


class Site:
    """A Redis whose clock we put."""

    def __init__(self, a_minute: int) -> None:
        self.now_ms = 1_800_000_000_000
        self.redis = fakeredis.FakeRedis()
        self.leases, self.turns = Leases(self.redis), PowerTurns(self.redis, a_minute)
        self.used: list[Moment] = []

    def do(self, step: str, machine_id: str, passes_ms: int) -> None:
        match step:
            case "ask":
                self.ask(machine_id)
            case "take" | "take and give back":
                moment = self.turns.take(machine_id)
                assert (moment.at_ms == 0) is (moment.wait_s > MOST_WAIT_MS / 1000)
                if moment.at_ms and step == "take":
                    self.used.append(moment)
                elif moment.at_ms:
                    self.turns.give_back(moment)
            case "end":
                self.leases.unmark_queued(machine_id)
            case _:
                self.now_ms += passes_ms

    def ask(self, machine_id: str) -> float:
        self.leases.mark_queued(machine_id, "power_on")
        wait_s = self.turns.ask(machine_id)
        if wait_s:
            self.leases.unmark_queued(machine_id)
        return wait_s


def at_clock(site: Site) -> object:
    clock = SimpleNamespace(time=lambda: site.now_ms / 1000)
    return patch("fakeredis.commands_mixins.server_mixin.time", clock)


@quick
@given(RATES, steps)
def test_no_two_commands_are_closer_than_the_pause(a_minute, done):
    site = Site(a_minute)
    with at_clock(site):
        for step in done:
            site.do(*step)
    times_ms = [moment.at_ms for moment in site.used]
    assert times_ms == sorted(times_ms)
    assert all(later - earlier >= 60_000 // a_minute for earlier, later in itertools.pairwise(times_ms))


@quick
@given(RATES, steps)
def test_whatever_went_before_each_machine_that_keeps_asking_is_called(a_minute, done):
    site, pause_s = Site(a_minute), 60 / a_minute
    with at_clock(site):
        for step in done:
            site.do(*step)
        left = list(MACHINES)
        for machine_id in left:
            site.leases.unmark_queued(machine_id)
        longest_s = (len(MACHINES) + 1) * pause_s + (LEAD_MS + MOST_WAIT_MS) / 1000 + 2
        ends_ms = site.now_ms + int(longest_s * 1000)
        while left and site.now_ms <= ends_ms:
            for machine_id in list(left):
                if site.ask(machine_id) == 0 and site.turns.take(machine_id).at_ms:
                    left.remove(machine_id)
                site.leases.unmark_queued(machine_id)
            site.now_ms += max(200, int(pause_s * 100))
    assert left == []

"""The bench of the wire to Omni with few machines: what it measures is there, and is neither nothing nor endless."""

import re

import pytest

from lab.bench import watched
from lab.bench.omni import memory, reaction

MACHINES = 30


@pytest.fixture(autouse=True)
def _soon_settled(monkeypatch):
    monkeypatch.setattr(watched, "QUIET_S", 1.0)


def test_changes_of_a_small_fleet_reach_their_decisions():
    finding = reaction(MACHINES)
    median_ms, p99_ms, longest_ms = map(int, re.findall(r"(\d+) ms", finding.words))
    assert 0 < median_ms <= p99_ms <= longest_ms < 10_000


def test_small_fleet_takes_little_memory():
    finding = memory(MACHINES)
    settled_mb, most_mb = map(int, re.findall(r"(\d+) MB", finding.words))
    assert 20 < settled_mb <= most_mb < 100 and finding.holds

"""The benchmark's table, and what it takes from a program that plays the rack."""

import json
import os

import pytest

from lab.bench import by_rack
from lab.bench.figures import OURS, Figures, table
from lab.bench.processes import cpu_s, family, pss_mb

SAID = {
    "n": 100,
    "all_ready_s": 4.5,
    "all_off_s": 4.7,
    "all_reported_off_s": 4.84,
    "sweep_s": 0.3,
    "omni_calls": {"Get InfraMachines": 300, "Update MachineStatus": 1400},
    "provider_pss_end_mb": 515.2,
    "provider_cpu_s": 9.1,
    "violations": [],
}


def test_figures_of_the_rack_are_its_last_line():
    figures = by_rack.read("rack", "waiting\n" + json.dumps(SAID) + "\n", "")
    assert figures == Figures(OURS, 100, 4.5, 4.7, 4.84, 0.3, 17.0, 515.2, 9.1)


def test_rack_that_failed_is_told_with_its_last_words():
    with pytest.raises(by_rack.RackError, match="address already in use"):
        by_rack.read("rack", "", "listening\naddress already in use\n")


def test_violation_is_no_measurement():
    with pytest.raises(by_rack.RackError, match="wiped twice"):
        by_rack.read("rack", json.dumps(SAID | {"violations": ["wiped twice"]}), "")


def test_table_has_the_go_provider_beside_the_same_number_of_machines():
    lines = table([Figures(OURS, 100, 4.5, 4.7, 4.84, None, 17.0, 515.2, 9.1)]).splitlines()
    assert lines[2] == "| 100 | omni-metal | 4.5 | 4.7 | 4.8 | - | 17.0 | 515 | 9.1 |"
    assert "50.4" in lines[3]
    assert len(table([Figures(OURS, 7, 1, 1, 1, 1, 1, 1, 1)]).splitlines()) == 3


def test_this_process_is_in_its_family_and_uses_something():
    pids = family(os.getpid())
    assert os.getpid() in pids
    assert pss_mb(pids) > 1 and cpu_s(pids) > 0

"""`make bench-bmc` with few BMCs: what it measures is there, and is neither nothing nor endless."""

import re
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

MACHINES, LIVING = 40, 38


def test_bench_of_a_few_bmcs_reads_all_that_answer_and_judges_it():
    ended = subprocess.run(
        [sys.executable, "-m", "lab.bench.bmc", "--kind=api", f"--machines={MACHINES}"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.stderr == ""
    _, _, *lines = ended.stdout.splitlines()
    assert ended.returncode == any("NOT OK" in line for line in lines)
    first, steady = (line for line in lines if re.search(rf"sweep of {LIVING} that answer \|", line))
    for line in (first, steady):
        own_s, wall_s, stand_ins_s = map(float, re.findall(r"([\d.]+) s(?: \(| less| of)", line))
        assert 0.1 <= own_s <= wall_s < 60 and stand_ins_s < wall_s * 4
    assert [line for line in lines if "not read" in line and line.endswith("| 0 | none | ok |")] != []
    (orders,) = (line for line in lines if "Omni's wish" in line)
    begins_s, armed_s, on_s = map(float, re.findall(r"([\d.]+) s[ ,)]", orders.split("|")[2]))
    assert "5 machines" in orders and 0 < begins_s <= armed_s <= on_s < 30
    assert "users of a BMC at a time | 1 | 1 | ok" in ended.stdout
    assert "sessions left open | 0 | none | ok" in ended.stdout

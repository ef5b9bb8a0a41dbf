"""`make bench-omni` with few machines: what it measures is there, and is neither nothing nor endless."""

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

MACHINES = 30


def test_bench_of_a_small_fleet_prints_each_figure_and_judges_it():
    ended = subprocess.run(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            "lab.bench.omni",
            f"--machines={MACHINES}",
            f"--watched={MACHINES}",
        ],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.stderr == ""
    calls, times, memory = lines = ended.stdout.splitlines()
    assert ended.returncode == (0 if all(line.startswith("ok ") for line in lines) else 1)
    assert all(int(number) > 10 for number in re.findall(r"(\d+) (?:a second|without)", calls))
    median_ms, p99_ms, longest_ms, _ = map(int, re.findall(r"(\d+) ms", times))
    assert 0 < median_ms <= p99_ms <= longest_ms < 10_000
    settled_mb, most_mb, _ = map(int, re.findall(r"(\d+) MB", memory))
    assert 20 < settled_mb <= most_mb < 200

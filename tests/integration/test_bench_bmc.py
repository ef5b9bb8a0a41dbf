"""`make bench-bmc` with few BMCs: what it measures is there, and is neither nothing nor endless."""

import re
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

MACHINES, LIVING, SILENT = 20, 19, 1
LIMIT_S = 150
KINDS = {"api": "API", "ipmi": "IPMI", "redfish": "Redfish"}


def test_bench_of_a_few_bmcs_of_each_kind_reads_all_that_answer_and_judges_it():
    benches = {kind: start(kind) for kind in KINDS}
    try:
        for kind, bench in benches.items():
            out, err = bench.communicate(timeout=LIMIT_S)
            assert err == ""
            assert bench.returncode == ("NOT OK" in out), out
            looks_measured(KINDS[kind], out)
    finally:
        for bench in benches.values():
            bench.kill()
            bench.communicate()


def start(kind):
    command = [sys.executable, "-m", "lab.bench.bmc", f"--kind={kind}", f"--machines={MACHINES}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def looks_measured(name, out):
    _, _, *lines = out.splitlines()
    assert all(line.startswith(f"| {name}: ") for line in lines), out
    sweeps = [line for line in lines if re.search(rf"sweep of {LIVING} that answer \|", line)]
    walls_s = [float(re.search(r"\| ([\d.]+) s \|", line).group(1)) for line in sweeps]
    assert len(walls_s) == 2 and all(0.1 <= wall_s < 60 for wall_s in walls_s)
    assert sum("not read | 0 | none | ok |" in line for line in lines) == 2
    assert f"silent ones that the steady sweep asked | {SILENT} of {SILENT} | all | ok" in out
    (orders,) = (line for line in lines if "Omni's wish" in line)
    begins_s, armed_s, on_s = map(float, re.findall(r"([\d.]+) s[ ,)]", orders.split("|")[2]))
    assert "5 machines" in orders and 0 < begins_s <= armed_s <= on_s < 30
    assert "users of a BMC at a time | 1 | 1 | ok" in out
    assert "sessions left open | 0 | none | ok" in out
    assert "session slots not given back | 0 | none | ok" in out

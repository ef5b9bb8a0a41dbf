"""`omni-metal lab` as a person runs it, with all processes of the provider."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
# What a person is told that a life takes at most. It takes half a minute; tests share their two cores with others.
LIFE_LIMIT_S = 120
MACHINES = 6  # where nobody says another number: two of each kind of BMC
STEPS = [
    "agent connected",
    "BMC set up",
    "disks wiped",
    "off and ready",
    "running Talos",
    "wiped again",
    "off and ready again",
    "removed",
]


def lab(*options, tmp_path):
    # Everything that the lab leaves behind would be in its temporary folder.
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "lab", *options],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(tmp_path):
    """Command lines that name the lab's temporary folder: the provider and all its children do."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(tmp_path) in command:
            found.append(command)
    return found


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("l")  # sockets are below it, their paths must stay short


def test_whole_life_runs_to_its_end(folder):
    process = lab("--once", "--json", tmp_path=folder)
    out, err = process.communicate(timeout=LIFE_LIMIT_S)

    assert process.returncode == 0, err[-5000:]
    summary = json.loads(out)
    assert summary["ok"]
    assert [step["step"] for step in summary["lives"][0]] == STEPS
    assert summary["machine_counts"]["wipe done"] == 2 * MACHINES
    assert summary["complaints"] == []
    # Two machines of each kind go through the same life, and no command is sent twice.
    kinds = summary["bmc_kinds"]
    assert list(kinds) == ["api", "redfish", "ipmi"]
    for told in kinds.values():
        assert told["machines"] == MACHINES / len(kinds)
        assert told["executed"] == {"pxeboot": 4, "poweron": 2, "poweroff": 4, "reboot": 2}
        assert {name: told["calls"][name] for name in told["executed"]} == told["executed"]
        assert (told["refused_logins"], told["faults"]) == (0, {})
    assert all(set(step["slowest_s"]) == set(kinds) for step in summary["lives"][0])
    assert processes_of(folder) == []
    assert list(folder.iterdir()) == []


def test_whole_life_runs_from_local_boot_assets(folder):
    process = lab("--once", "--json", "--machines", "1", "--use-local-boot-assets", tmp_path=folder)
    out, err = process.communicate(timeout=LIFE_LIMIT_S)

    assert process.returncode == 0, err[-5000:]
    summary = json.loads(out)
    assert summary["complaints"] == []
    assert summary["machine_counts"]["booted agent"] > summary["machine_counts"]["booted installer"]
    # The factory was asked for the Talos of the cluster alone.
    assert summary["factory_calls"]["POST /schematics"] == 1
    assert summary["factory_calls"]["GET /pxe"] == summary["machine_counts"]["booted installer"]
    assert list(folder.iterdir()) == []


def test_lab_that_is_interrupted_leaves_nothing_behind(folder):
    process = lab("--machines", "2", tmp_path=folder)
    deadline = time.monotonic() + LIFE_LIMIT_S
    for line in process.stdout:
        assert time.monotonic() < deadline
        if "switched on" in line:
            break
    assert processes_of(folder)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 0, err[-5000:]
    assert processes_of(folder) == []
    assert list(folder.iterdir()) == []


def test_lab_that_is_killed_takes_the_provider_with_it(folder):
    process = lab("--machines", "1", tmp_path=folder)
    for line in process.stdout:
        if "switched on" in line:
            break
    process.kill()
    process.communicate(timeout=30)

    deadline = time.monotonic() + 30
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_of(folder) == []


def test_option_that_the_provider_does_not_know_ends_with_status_2_and_its_words(folder):
    process = lab("--once", "--no-such-option", tmp_path=folder)
    out, _ = process.communicate(timeout=LIFE_LIMIT_S)

    assert process.returncode == 2
    assert "--no-such-option" in out

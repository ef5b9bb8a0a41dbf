"""Many IPMI sessions at once in a process of greenlets, as in the workers: none hangs, and none costs the others."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

MACHINES, SILENT, LOSS = 200, 0.05, 0.03
# Four logins that each lose a packet, three questions that do, and the end; whoever takes longer hangs.
LONGEST_S = 40
SOCKETS = 1100

READ_ALL = """
import json, os, sys, time
from gevent import monkey
monkey.patch_all()
from concurrent.futures import ThreadPoolExecutor
from app.machine.model import Ipmi
from lab.open_files import allow_open_files
from workers.bmc.errors import BmcError
from workers.bmc.ipmi.session import open_ipmi
from workers.bmc.known import BmcKind, Known

where, sockets = json.loads(sys.argv[1]), int(sys.argv[2])
allow_open_files(2 * sockets)
held = [os.dup(1) for _ in range(sockets)]

def read(address):
    began_s = time.monotonic()
    try:
        bmc = open_ipmi(Ipmi(address, where["port"], "admin", "admin"), Known(BmcKind.IPMI))
        try:
            state = bmc.power_state().name
        finally:
            bmc.close()
    except BmcError as error:
        state = type(error).__name__
    return state, time.monotonic() - began_s

addresses = where["silent"] + where["addresses"]
with ThreadPoolExecutor(len(addresses)) as pool:
    print(json.dumps(dict(zip(addresses, pool.map(read, addresses)))))
"""


@pytest.fixture
def fleet():
    """Starts BMCs in a process of their own; `stop` tells what came in."""
    if not sys.platform.startswith("linux"):
        pytest.skip("an address of the loopback for each BMC")
    started = []

    def start(*options):
        command = [sys.executable, "-m", "lab.bmc.ipmi", *map(str, options)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(child)
        return child, json.loads(child.stdout.readline())

    yield start
    for child in started:
        child.kill()
        child.wait()
        child.stdout.close()


def test_two_hundred_greenlets_with_lost_packets_and_silent_bmcs_all_end(fleet):
    """Their sockets have numbers that select(2) does not take."""
    options = ("--machines", MACHINES, "--silent", SILENT, "--faults", f"packet-loss={LOSS}", "--latency-s", 0.05)
    bmcs, where = fleet(*options, "--base-address", "127.79.0.1", "--seed", 3)
    command = [sys.executable, "-c", READ_ALL, json.dumps(where), str(SOCKETS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * LONGEST_S, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])

    silent = [said.pop(address) for address in where["silent"]]
    assert len(silent) == MACHINES * SILENT
    assert {state for state, _ in silent} == {"BmcUnreachable"}
    assert all(5 <= took_s < 8 for _, took_s in silent), silent
    assert [state for state, _ in said.values()].count("OFF") >= MACHINES * 0.94, said
    assert max(took_s for _, took_s in said.values()) < LONGEST_S
    quick = sorted(took_s for _, took_s in said.values())[len(said) // 2]
    assert quick < 4, quick  # most lose nothing, and wait for nobody

    bmcs.terminate()
    counts = json.loads(bmcs.stdout.read())
    assert counts["most_sessions"] == 1
    assert counts["refused_logins"] == 0

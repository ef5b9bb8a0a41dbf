"""The supervisor on small children: what it keeps running, and what it leaves behind (nothing)."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.integration.children import MARK, marked_processes, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

# A supervisor of the children named in argv[1]; those of argv[2] are stopped last.
DRIVER = """
import json, os, sys
from app import supervisor
from app.child import Child
from config import logs
logs.configure(False, "run")
def read(text):
    return [Child(name, command, os.environ) for name, command in json.loads(text).items()]
children, last = map(read, sys.argv[1:])
for child in last:
    child.start()
sys.exit(supervisor.Supervisor(children, last).run())
"""
SLEEP = ["sleep", "1000"]
# Starts a process of its own, as gunicorn does.
PARENT = ["sh", "-c", "sleep 1001 & exec sleep 1002"]
DEAF = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"]


@pytest.fixture
def supervise(tmp_path):
    """Start a supervisor; whatever is left at the end is killed."""
    mark = str(tmp_path)
    started = []

    def start(children, last=()):
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(children), json.dumps(dict(last))],
            env={**os.environ, MARK: mark},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        process.mark = mark
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for pid in marked_processes(mark):
        os.kill(pid, signal.SIGKILL)


def running(process, word):
    return [pid for pid, command in marked_processes(process.mark).items() if command.startswith(word)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_all_children_and_grandchildren_with_status_0(supervise, number):
    process = supervise({"one": SLEEP, "two": PARENT}, last={"redis": SLEEP})
    wait_until(lambda: len(running(process, "sleep")) == 4)
    process.send_signal(number)
    assert process.wait(timeout=5) == 0
    assert not marked_processes(process.mark)


def test_kill_9_of_the_supervisor_ends_its_children(supervise):
    process = supervise({"one": SLEEP, "two": SLEEP}, last={"redis": SLEEP})
    wait_until(lambda: len(running(process, "sleep")) == 3)
    process.kill()
    process.wait()
    wait_until(lambda: not marked_processes(process.mark), timeout_s=3)


def test_child_that_does_not_hear_is_killed_within_ten_seconds(supervise):
    process = supervise({"deaf": DEAF})
    wait_until(lambda: running(process, DEAF[0]))
    time.sleep(1)  # until it is deaf
    begun = time.monotonic()
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert time.monotonic() - begun > 5
    assert not marked_processes(process.mark)
    assert "process_killed" in process.stderr.read()


def test_second_signal_does_not_wait(supervise):
    process = supervise({"deaf": DEAF})
    wait_until(lambda: running(process, DEAF[0]))
    time.sleep(1)
    process.terminate()
    time.sleep(0.5)
    process.terminate()
    process.wait(timeout=3)
    assert not marked_processes(process.mark)


def test_child_that_is_killed_is_started_again(supervise):
    process = supervise({"one": SLEEP})
    [first] = wait_until(lambda: running(process, "sleep"))
    os.kill(first, signal.SIGKILL)
    [second] = wait_until(lambda: [pid for pid in running(process, "sleep") if pid != first], timeout_s=5)
    assert second != first
    process.terminate()
    process.wait(timeout=5)
    events = [json.loads(line) for line in process.stderr.read().splitlines()]
    [ended] = [event for event in events if event["event"] == "process_ended"]
    assert (ended["child"], ended["how"]) == ("one", "killed by SIGKILL")


def test_child_that_ends_with_status_2_ends_the_whole_with_2(supervise):
    process = supervise({"good": SLEEP, "bad": ["sh", "-c", "exit 2"]}, last={"redis": SLEEP})
    assert process.wait(timeout=10) == 2
    assert "bad does not start with these settings" in process.stderr.read()
    assert not marked_processes(process.mark)


def test_child_that_cannot_start_three_times_ends_the_whole_with_1(supervise):
    process = supervise({"good": SLEEP, "bad": ["sh", "-c", "exit 7"]})
    assert process.wait(timeout=10) == 1
    assert "omni-metal: bad ended 3 times while starting (status 7)" in process.stderr.read()
    assert not marked_processes(process.mark)

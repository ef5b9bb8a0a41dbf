"""Find the processes of a test by a mark in their environment, which all that they start inherit."""

import contextlib
import time
from pathlib import Path

MARK = "OMNI_METAL_TEST_MARK"


def marked_processes(mark):
    """Return pid -> command of all living processes with the mark."""
    wanted = f"{MARK}={mark}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0") and not is_zombie(folder):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return found


def is_zombie(folder):
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def wait_until(condition, timeout_s=10.0):
    """Return the first true answer; an assertion error after the time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {timeout_s} s: last answer {condition()!r}")

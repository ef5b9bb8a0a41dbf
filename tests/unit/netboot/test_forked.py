"""A fork that the system refuses."""

import os
import signal
from pathlib import Path

import pytest

from netboot.forked import ForkedChild, fork


def state():
    """Which signals are blocked, and how many files are open."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, ()), len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("begin", [lambda: fork(lambda: 0), ForkedChild("x", lambda: None).start])
def test_refused_fork_leaves_all_as_it_was(monkeypatch, begin):
    def refuse():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    before = state()
    with pytest.raises(BlockingIOError):
        begin()
    assert state() == before

"""A clock that a test sets, and the lines that were logged."""

import pytest
from structlog.testing import capture_logs


class Clock:
    now_s = 1000.5

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines():
    with capture_logs() as found:
        yield found

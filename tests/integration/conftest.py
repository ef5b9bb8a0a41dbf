"""What tests of faults tell about themselves."""

import pytest


@pytest.fixture
def survived(record_property):
    """Note a fault that was survived: what was done, what it hit, and what came of it as the test has measured it."""

    def note(fault, hit, outcome):
        record_property("survived", (fault, hit, outcome))

    return note

"""What a test needs of the machine it runs on: without it the test is skipped, but fails in CI, which installs it."""

import os

import pytest


def need(missing):
    """Skip or fail where something is missing. missing: what and how to get it, in words; empty where all is there."""
    if not missing:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{missing}; CI has to have it", pytrace=False)
    pytest.skip(missing)

"""A child has the ambient capabilities of whoever started us only where it is to have them."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.required import need

pytestmark = pytest.mark.integration

GIVEN = ("setpriv", "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service")
# What a program that a child starts with `argv[1]` has of them.
STARTER = """
import os, sys
from app.child import Child
child = Child("one", ["grep", "CapAmb", "/proc/self/status"], os.environ, keeps_rights=sys.argv[1] == "keeps")
child.start()
child._process.wait()
"""


@pytest.mark.parametrize(("how", "rights"), [("keeps", 1 << 10), ("drops", 0)])
def test_ambient_capabilities_go_to_a_child_that_keeps_them_alone(how, rights):
    need("" if os.geteuid() == 0 and shutil.which("setpriv") else "giving capabilities needs root and setpriv")
    command = [*GIVEN, sys.executable, "-c", STARTER, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert int(done.stdout.removeprefix("CapAmb:"), 16) == rights

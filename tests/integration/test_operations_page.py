"""What docs/operations.md tells to type and no command of ours does."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from app.omni.kinds import Kind
from tests.integration.children import wait_until
from tests.integration.whole_site import UP_S, WholeSite, free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def test_authority_is_replaced_as_the_page_says(tmp_path):
    (line,) = re.findall(r"^    (python3 -c .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    _, *words = shlex.split(line)
    with WholeSite(tmp_path, "--tls-enabled", f"--tls-api-port={free_port()}", machines=1, secure=True) as site:

        def authority():
            found = site.thread.call(lambda: site.thread.rack.omni.get(Kind.TLS_CONFIG, "tls-config"))
            return found and found.spec.ca_cert

        first = wait_until(authority, UP_S)
        options = {
            "OMNI_ENDPOINT": site.settings.omni_api_endpoint,
            "OMNI_METAL_INSECURE_SKIP_TLS_VERIFY": "true",
            "OMNI_METAL_API_ADVERTISE_ADDRESS": "127.0.0.1",
        }
        subprocess.run([sys.executable, *words], env={**os.environ, **site.environ, **options}, check=True, timeout=60)
        assert authority() is None

        site.kill("watcher")
        assert wait_until(authority, UP_S) != first

"""Wipes that fail until they are parked, on the real processes: shown with their cause, and retried by hand."""

import json
import subprocess
import sys
import urllib.request

import pytest

from tests.integration.whole_site import WholeSite

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


def test_failing_wipes_are_parked_shown_with_the_agents_words_and_retried_by_hand(tmp_path):
    with WholeSite(tmp_path, "--operation-attempts=2", machines=1, wipe_s=0.2, boot_s=0.2, fail_wipes=2) as site:
        site.accept_all()
        url = f"http://127.0.0.1:{site.port}/api/v1/machines"

        def parked(_rack):
            with urllib.request.urlopen(url, timeout=5) as answer:
                (machine,) = json.load(answer)["machines"]
            return machine if machine["phase"] == "parked" else None

        site.until(parked, 30, "parked")
        assert "input/output error" in parked(None)["sentence"]
        command = [sys.executable, "-m", "app.cli"]
        where = [f"--redis-url={site.settings.redis_url}", f"--state-dir={site.settings.state_dir}"]
        shown = subprocess.run([*command, "machines", *where], capture_output=True, text=True, timeout=30, check=True)
        assert "parked" in shown.stdout and "input/output error" in shown.stdout
        machine_id = site.machines[0].id
        retried = subprocess.run([*command, "retry", machine_id, *where], capture_output=True, timeout=30, check=True)
        assert b"wipe" in retried.stdout
        site.ready_and_off()
        assert site.counts()["wipe begun"] == 3

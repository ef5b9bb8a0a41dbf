"""The whole provider with an Omni that is as a real one: TLS that nobody has signed, and signed calls."""

import subprocess
import sys

import pytest

from lab.omni.certificates import make_certificate
from lab.omni.keys import make_key
from tests.integration.children import wait_until
from tests.integration.whole_site import WholeSite

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


def test_renewed_certificate_is_followed_without_a_restart(tmp_path):
    with WholeSite(tmp_path, machines=1, wipe_s=0.2, boot_s=0.2, secure=True) as site:
        rack = site.thread.rack
        site.thread.wait(rack.stop_omni)
        rack.omni.certificate = make_certificate("omni.example.org")
        site.thread.wait(rack.start_omni)
        site.accept_all()
        site.ready_and_off()
        assert site.complaints() == []
        assert "process_ended" not in site.log.read_text()


def test_child_that_is_started_again_comes_up_with_a_key_that_has_expired_since(tmp_path, monkeypatch):
    monkeypatch.setattr("lab.rack.make_key", lambda provider_id: make_key(provider_id, life_s=20))
    with WholeSite(tmp_path, machines=1, secure=True) as site:
        wait_until(lambda: b"invalid signature" in site.log.read_bytes(), 60)
        site.kill("watcher")
        wait_until(lambda: site.log.read_text().count('"event": "watcher_active"') == 2, 60)
        assert site.process.poll() is None


@pytest.mark.parametrize("command", ["run", "watcher", "worker bmc"])
def test_key_that_has_expired_ends_a_process_with_status_2_and_one_message(tmp_path, command):
    key = make_key("bare-metal", created_s=1_700_000_000, life_s=1000)
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", *command.split(), "--omni-api-endpoint=https://127.0.0.1:1"],
        env={"OMNI_SERVICE_ACCOUNT_KEY": key.variable, "OMNI_METAL_STATE_DIR": str(tmp_path), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "the key in it expired at 2023-11-14 22:30 UTC; make another with `omnictl infraprovider" in ended.stderr
    assert len([line for line in ended.stderr.splitlines() if "OMNI_SERVICE_ACCOUNT_KEY" in line]) == 1
    assert key.variable[20:40] not in ended.stderr

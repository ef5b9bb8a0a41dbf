"""How machines join, through a whole site: a configuration that is replaced, missing, of an older Omni, or extended."""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from app.omni.kinds import Kind
from lab.bmc.chassis import Button
from tests.integration.children import wait_until
from tests.integration.whole_site import UP_S, WholeSite

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
# It is read again every 20 s, by a process that shares two cores with others.
FOLLOWED_S = 50
EXTRA = """\
%YAML 1.2
---
# the mirror of the site
apiVersion: v1alpha1
kind: RegistryMirrorConfig
name: docker.io
---
apiVersion: v1alpha1
kind: WatchdogTimerConfig
...
"""


def fetch(site, path):
    """Status and text of what the public port answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def config(site):
    return fetch(site, f"/config?u={site.machines[0].id}")


def told(site):
    """What `/readyz` says of Omni."""
    return json.loads(fetch(site, "/readyz")[1])["checks"]["omni"]


def of_omni(site):
    omni = site.thread.rack.omni
    return site.thread.call(lambda: omni.get(Kind.PROVIDER_JOIN_CONFIG, omni.provider_id).spec.config.config)


def everywhere(site, words):
    """Whether these are in the configuration, whichever of the processes answers."""
    return all(words in config(site)[1] for _ in range(40))


class Reader:
    """Reads /config all the while and keeps every text that it saw."""

    def __init__(self, site):
        self.site, self.seen, self.stop = site, set(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(30)

    def run(self):
        while not self.stop.wait(0.01):
            status, text = config(self.site)
            self.seen.add(text if status == 200 else status)


def test_replaced_configuration_is_served_without_a_restart_and_machines_join_with_it(tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text(EXTRA)
    with WholeSite(tmp_path, f"--extra-machine-config-path={extra}", machines=1, wipe_s=0.2, boot_s=0.2) as site:
        rack, (machine,) = site.thread.rack, site.machines

        def served():
            status, text = config(site)
            if status != 200:
                return f"{status} {text}"
            first, extended = text.split("---\n# the mirror of the site\n")
            assert list(yaml.safe_load_all(text))[3:] == list(yaml.safe_load_all(EXTRA))
            assert extended
            return first

        wait_until(lambda: served() == of_omni(site), UP_S)
        site.thread.call(rack.power_on)
        site.until(lambda _: machine.tunnel_open, 60, "it joins")
        before = of_omni(site)
        with Reader(site) as reader:
            wait_until(lambda: reader.seen)
            site.thread.call(rack.omni.joining.rotate)
            after = of_omni(site)
            began_s = time.monotonic()
            wait_until(lambda: served() == after, FOLLOWED_S)
            assert time.monotonic() - began_s < FOLLOWED_S
            wait_until(lambda: len(reader.seen) > 1)
        assert before != after
        assert len(reader.seen) == 2, reader.seen  # the one before and this, whole
        waited = machine.counts["join waited"]
        booted = machine.counts["booted agent"]
        site.thread.call(lambda: [machine.press(button) for button in (Button.PXE_BOOT, Button.REBOOT)])
        site.until(lambda _: machine.counts["booted agent"] > booted and machine.tunnel_open, 60, "it joins again")
        assert machine.counts["join waited"] == waited

        site.thread.call(rack.omni.joining.rotate)
        site.redis.flushall()
        wait_until(lambda: served() == of_omni(site), FOLLOWED_S)

        extra.write_text(EXTRA.replace("docker.io", "quay.io"))
        wait_until(lambda: everywhere(site, "name: quay.io"), 20)
        extra.write_text("kind: [")
        time.sleep(3)
        assert everywhere(site, "name: quay.io")
        wait_until(lambda: b'"file_bad"' in site.log.read_bytes(), 10)
        tokens = [yaml.safe_load(text.split("---")[0])["apiUrl"].partition("=")[2] for text in (before, after)]
        assert not [token for token in tokens if token.encode() in site.log.read_bytes()]
        assert site.complaints() == []


def test_configuration_that_is_not_there_yet_is_told_and_served_once_it_is(tmp_path):
    with WholeSite(tmp_path, machines=1, wipe_s=0.2, boot_s=0.2) as site:
        omni = site.thread.rack.omni
        wait_until(lambda: config(site)[0] == 200, UP_S)
        site.thread.call(omni.joining.withdraw)
        wait_until(lambda: told(site)["code"] == "no-join-config", FOLLOWED_S)  # what was read before stays until then
        site.redis.flushall()
        wait_until(site.complete, UP_S)
        wait_until(lambda: "has not been read from Omni yet" in config(site)[1], UP_S)
        wait_until(lambda: told(site)["code"] == "no-join-config", 30)
        assert "ProviderJoinConfig 'bare-metal' is not there" in told(site)["words"]
        assert "omnictl infraprovider create" in told(site)["remedy"]
        site.thread.call(omni.joining.give)
        wait_until(lambda: config(site) == (200, of_omni(site)), FOLLOWED_S)
        wait_until(lambda: told(site)["ok"], 30)


def test_older_omni_lets_machines_join_and_changed_ports_are_followed(tmp_path):
    with WholeSite(tmp_path, machines=1, wipe_s=0.2, boot_s=0.2, old_omni=True) as site:
        omni = site.thread.rack.omni
        wait_until(lambda: config(site)[0] == 200, UP_S)
        link, events, log = yaml.safe_load_all(config(site)[1])
        assert link["apiUrl"].startswith("grpc://127.0.0.1:8090?jointoken=v1%3A")
        assert events["endpoint"] == "[fdae:41e4:649b:9303::1]:8091"
        assert (log["name"], log["url"]) == ("omni-kmsg", "tcp://[fdae:41e4:649b:9303::1]:8092")
        site.accept_all()
        site.ready_and_off()
        site.thread.call(lambda: omni.joining.set_params(events_port=0))
        wait_until(lambda: "no port for events" in told(site)["words"], FOLLOWED_S)
        assert "--event-sink-port" in told(site)["remedy"]
        assert config(site)[0] == 200  # as it was
        site.thread.call(lambda: omni.joining.set_params(events_port=9091))
        wait_until(lambda: "9303::1]:9091" in config(site)[1], FOLLOWED_S)
        assert site.complaints() == []


@pytest.mark.parametrize("command", ["run", "web"])
def test_documents_that_may_not_be_added_are_named_with_the_other_wrong_values(tmp_path, command):
    extra = tmp_path / "extra.yaml"
    extra.write_text("machine: {}\n---\nkind: SideroLinkConfig\n")
    ended = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "app.cli", command, "--omni-api-endpoint=http://127.0.0.1:1"),
            *("--api-advertise-address=127.0.0.1", "--api-port=none", f"--extra-machine-config-path={extra}"),
            f"--state-dir={tmp_path / 'state'}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("omni-metal: 3 settings are wrong")
    assert "--api-port=none" in lines[1]
    assert "document 1 (line 1) has no kind (v1alpha1)" in lines[2]
    assert "document 2 SideroLinkConfig (line 3) would take the place of Omni's" in lines[3]


def test_processes_that_serve_no_machines_do_not_need_the_file(tmp_path):
    from app.start_checks import problems
    from config.settings import load

    argv = ["--omni-api-endpoint=http://127.0.0.1:1", "--api-advertise-address=127.0.0.1"]
    load([*argv, f"--extra-machine-config-path={tmp_path / 'none'}"], {}, further=problems)

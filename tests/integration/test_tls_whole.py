"""A whole site whose agents come over TLS: boots, a life, restarts, and where secrets are."""

import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import fakeredis
import pytest

from app.omni.client import Omni
from app.omni.kinds import Kind
from app.omni.resource import Draft, blank
from app.state import metrics
from app.state.mirror import Mirror
from app.state.secrets import Sealer
from app.tls.authority import Authority
from app.watcher.authority import ID, AuthorityKeeper
from config.settings import Settings
from lab.bmc.chassis import Button
from lab.rack import RackOptions
from lab.rack_thread import RackThread
from lab.tls import unpack_inline
from tests.integration.children import wait_until
from tests.integration.test_secrets import dump
from tests.integration.whole_site import WholeSite, free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
# A whole life takes half a minute; tests share their two cores with others.
LIFE_LIMIT_S = 150


def tls_site(folder, *extra, **rack):
    return WholeSite(folder, "--tls-enabled", f"--tls-api-port={free_port()}", *extra, **rack)


def authority_in(omni):
    spec = omni.get(Kind.TLS_CONFIG, ID).spec
    return Authority(spec.ca_cert, spec.ca_key)


def agents_are_back(rack):
    return all(machine.tunnel_open for machine in rack.machines)


def test_whole_life_over_tls_runs_to_its_end(tmp_path_factory):
    folder = tmp_path_factory.mktemp("l")  # sockets are below it, their paths must stay short
    state = folder / "s"
    process = subprocess.run(
        [
            *(sys.executable, "-m", "app.cli", "lab", "--once", "--json", "--machines=3"),
            *("--tls-enabled", f"--tls-api-port={free_port()}", f"--state-dir={state}"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIFE_LIMIT_S,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-5000:]
    summary = json.loads(process.stdout)
    assert summary["ok"]
    assert summary["complaints"] == []
    assert summary["machine_counts"]["wipe done"] == 6
    assert "configurations differ" not in summary["machine_counts"]
    log = (state / "provider.log").read_text()
    assert "certificate_shown" in log
    assert "tunnel_without_tls" not in log


def test_processes_that_die_come_back_to_the_same_authority_and_no_secret_is_told(tmp_path):
    with tls_site(tmp_path, "--debug", machines=2, wipe_s=0.2, boot_s=0.2) as site:
        rack = site.thread.rack
        site.thread.call(rack.power_on)
        site.until(agents_are_back, 60, "agents come over TLS")
        authority = site.thread.call(lambda: authority_in(rack.omni))
        assert site.mirror.authority() == authority
        addresses = {machine.image.argument("metal.provider.address") for machine in site.machines}
        assert addresses == {f"https://127.0.0.1:{site.settings.tls_api_port}"}

        site.kill("web")
        site.until(lambda rack: not agents_are_back(rack), 30, "tunnels end with the process that held them")
        site.until(agents_are_back, 90, "agents come back")
        site.redis.flushall()
        wait_until(lambda: site.mirror.authority() == authority, 60)
        site.kill("watcher")
        wait_until(site.complete, 60)
        assert site.thread.call(lambda: authority_in(rack.omni)) == authority
        assert metrics.read(site.redis, 0).without_tls == 0
        assert site.complaints() == []

        inline = {machine.image.argument("talos.config.inline") for machine in site.machines}
        tokens = {re.search(r"jointoken=(\S+)", unpack_inline(text))[1] for text in inline}
        key = "".join(authority.key.splitlines()[1:-1])
        secrets = [*inline, *tokens, key, key[:40]]
        places = {"log": site.log.read_bytes(), "redis": b"\n".join(dump(site.redis))}
        for path in (tmp_path / "state").rglob("*"):
            if path.is_file():
                places[str(path)] = path.read_bytes()
        assert site.machines[0].id.encode() in places["log"]
        for place, data in places.items():
            assert not [secret for secret in secrets if secret.encode() in data], place


def test_machines_booted_without_tls_are_served_until_their_next_boot(tmp_path):
    with WholeSite(tmp_path, machines=2, wipe_s=0.2, boot_s=0.2) as site:
        site.thread.call(site.thread.rack.power_on)
        site.until(agents_are_back, 60, "agents come without TLS")
        site.process.send_signal(signal.SIGTERM)
        site.process.wait(30)
        site.process = site.start("run", [*site.options, "--tls-enabled", f"--tls-api-port={free_port()}"])
        wait_until(site.complete, 60)
        site.until(agents_are_back, 90, "they come back as they were booted")
        wait_until(lambda: metrics.read(site.redis, 0).without_tls >= 2, 30)
        machine = site.machines[0]
        before = machine.counts["booted agent"]
        site.thread.call(lambda: [machine.press(button) for button in (Button.PXE_BOOT, Button.REBOOT)])
        site.until(lambda _: machine.counts["booted agent"] > before and machine.tunnel_open, 60, "it boots again")
        assert machine.image.argument("metal.provider.address").startswith("https://")


def test_two_processes_that_start_at_once_make_one_authority():
    with RackThread(RackOptions(machines=0)) as thread:
        barrier = threading.Barrier(4)
        found = []

        def start():
            settings = Settings(tls_enabled=True, api_advertise_address="127.0.0.1")
            mirror = Mirror(fakeredis.FakeRedis(), Sealer(b"k" * 32))
            with Omni(thread.rack.omni_url, settings.id) as omni:
                keeper = AuthorityKeeper(settings, omni, mirror)
                get, asked = omni.get, []

                def together(*place):
                    answer = get(*place)
                    if not asked:
                        asked.append(place)
                        barrier.wait(20)  # all have seen that there is none
                    return answer

                omni.get = together
                keeper.refresh()
            found.append(mirror.authority())

        threads = [threading.Thread(target=start) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(30)
        stored = thread.call(lambda: authority_in(thread.rack.omni))
        assert found == [stored] * 4


class Spoiled(WholeSite):
    """A site whose Omni holds an authority that nobody can use."""

    def start(self, command, options):
        omni = self.thread.rack.omni
        draft = Draft(blank(Kind.TLS_CONFIG, omni.provider_id, ID))
        draft.spec.ca_cert = "nonsense"
        self.thread.call(lambda: omni._create(draft))
        return super().start(command, options)


def test_authority_in_omni_that_cannot_be_used_is_told_and_holds_boots_back_until_it_is_removed(tmp_path):
    with Spoiled(
        tmp_path, "--tls-enabled", f"--tls-api-port={free_port()}", machines=1, wipe_s=0.2, boot_s=0.2
    ) as site:
        rack = site.thread.rack
        assert "holds no PEM certificate" in wait_until(lambda: tls_check(site), 60)["words"]
        assert "authority_unusable" in site.log.read_text()
        site.thread.call(rack.power_on)
        site.until(lambda _: "503" in site.machines[0].last_error, 30, "its boot is held back")
        assert site.thread.call(lambda: authority_in(rack.omni)) == Authority("nonsense", "")

        place = rack.omni._place(Kind.TLS_CONFIG)
        site.thread.call(lambda: rack.omni._store.destroy(place, ID))
        site.until(agents_are_back, 60, "a new one is made, and the machine boots")
        wait_until(lambda: tls_check(site) is None, 30)


def tls_check(site):
    """What `/readyz` says of TLS; None where that says nothing, or is not up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}/readyz", timeout=5) as answer:
            return json.load(answer)["checks"].get("tls")
    except OSError:
        return None

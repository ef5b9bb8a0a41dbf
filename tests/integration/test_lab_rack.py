"""A rack on real sockets, with the least that can pass for a provider."""

import json
import urllib.error
import urllib.request

import pytest

from app.omni.kinds import Kind
from lab.bmc.chassis import Button
from lab.hardware import Stage
from lab.http import HttpServer, Response
from lab.ports import free_port, usual_or_free
from lab.rack import RackOptions
from lab.rack_thread import RackThread

pytestmark = pytest.mark.integration

TALOS = "v1.13.7"
LIMIT_S = 20.0


class SmallProvider:
    """Answers every boot with the one script that it is given, and /config with a join configuration."""

    def __init__(self, rack):
        self.rack = rack
        self.script = "#!ipxe\nexit\n"
        self.status = 200
        self.server = HttpServer(self.handle)

    async def handle(self, request):
        if request.path == "/ipxe/boot.ipxe":
            return Response.text(self.script, self.status)
        if request.path == "/config":
            omni = self.rack.omni
            return Response.text(omni.get(Kind.PROVIDER_JOIN_CONFIG, omni.provider_id).spec.config.config)
        return Response.text("not found", 404)

    def boot_image(self, *, agent):
        """Make a schematic as the provider would, and chain to it."""
        address = f"127.0.0.1:{self.rack.options.provider_port}"
        arguments = [f"talos.config=http://{address}/config?u=${{uuid}}"]
        arguments += [f"metal.provider.address={address}"] if agent else []
        extensions = ["siderolabs/metal-agent"] if agent else []
        body = {
            "customization": {
                "extraKernelArgs": arguments,
                "systemExtensions": {"officialExtensions": extensions},
            }
        }
        request = urllib.request.Request(f"{self.rack.factory.url}/schematics", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:
            schematic_id = json.load(answer)["id"]
        self.script = f"#!ipxe\nchain --replace {self.rack.factory.url}/pxe/{schematic_id}/{TALOS}/metal-amd64\n"


@pytest.fixture
def site():
    """A rack of two machines and its provider."""
    with RackThread(RackOptions(machines=2, boot_s=0.05, wipe_s=0.05, provider_port=free_port())) as thread:
        provider = SmallProvider(thread.rack)
        port = thread.rack.options.provider_port
        thread.wait(lambda: provider.server.serve("127.0.0.1", port))
        thread.call(lambda: declare_static(thread.rack))
        yield thread, provider
        thread.wait(provider.server.stop)


def declare_static(rack):
    """What a provider does first at Omni."""
    from app.omni.resource import Draft, blank

    draft = Draft(blank(Kind.PROVIDER_STATUS, "bare-metal", "bare-metal"))
    draft.labels["omni.sidero.dev/is-static-infra-provider"] = ""
    rack.omni._create(draft)


def ask(machine, method, path):
    request = urllib.request.Request(f"http://{machine.bmc.address}/{path}", method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read()


def test_bmc_over_http_switches_its_own_machine_and_no_other(site):
    thread, _ = site
    first, second = thread.rack.machines

    ask(first, "POST", "reboot")
    assert json.loads(ask(first, "GET", "status")) == {"PoweredOn": False}
    ask(first, "POST", "poweron")

    assert json.loads(ask(first, "GET", "status")) == {"PoweredOn": True}
    assert json.loads(ask(second, "GET", "status")) == {"PoweredOn": False}
    ask(first, "POST", "poweroff")
    assert json.loads(ask(first, "GET", "status")) == {"PoweredOn": False}
    assert thread.rack.commands() == {"reboot": 1, "poweron": 1, "poweroff": 1, "status": 4}


def test_unknown_path_of_a_bmc_is_404(site):
    thread, _ = site

    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        ask(thread.rack.machines[0], "POST", "explode")
    refused.value.close()


def test_state_files_name_every_bmc_in_both_layouts(site):
    thread, _ = site
    files = sorted(thread.rack.state_dir.glob("*.config"))

    new, old = (json.loads(path.read_text()) for path in files)
    first, second = thread.rack.machines
    assert (new["NodeUUID"], new["Network"]["GatewayAddrs"][0]) == (first.id, "127.0.0.1")
    assert new["APIBindAddress"]["Port"] == first.bmc.port
    assert (old["NodeUUID"], old["GatewayAddrs"][0], old["APIPort"]) == (second.id, "127.0.0.1", second.bmc.port)


def test_machine_boots_into_agent_mode_and_joins_omni(site):
    thread, provider = site
    provider.boot_image(agent=True)
    machine = thread.rack.machines[0]

    thread.call(lambda: machine.press(Button.POWER_ON))
    thread.until(lambda rack: machine.stage is Stage.AGENT, LIMIT_S, "agent mode")

    assert thread.call(lambda: thread.rack.observe(machine)).place == "pending"
    assert machine.image.talos_version == TALOS
    assert not thread.rack.complaints()


def test_machine_installs_talos_and_boots_it_from_the_disk_ever_after(site):
    thread, provider = site
    provider.boot_image(agent=False)
    machine = thread.rack.machines[0]

    thread.call(lambda: machine.press(Button.POWER_ON))
    thread.until(lambda rack: machine.stage is Stage.TALOS, LIMIT_S, "Talos")
    fetched = machine.counts["fetched"]
    thread.call(lambda: machine.press(Button.REBOOT))
    thread.until(lambda rack: machine.counts["booted Talos"] == 2, LIMIT_S, "Talos again")

    assert machine.counts["fetched"] == fetched
    assert thread.call(lambda: thread.rack.observe(machine)).machine.install_event_id == 2


def test_machine_told_503_asks_again_until_it_is_answered(site):
    thread, provider = site
    provider.boot_image(agent=False)
    provider.status = 503
    machine = thread.rack.machines[0]

    thread.call(lambda: machine.press(Button.POWER_ON))
    thread.until(lambda rack: machine.counts["network boot failed"], LIMIT_S, "a failed boot")
    assert "HTTP 503" in machine.last_error
    provider.status = 200

    thread.until(lambda rack: machine.stage is Stage.TALOS, LIMIT_S, "Talos")


def test_rack_that_ends_leaves_no_port_and_no_file_behind():
    with RackThread(RackOptions(machines=3, provider_port=free_port())) as thread:
        rack = thread.rack
        ports = [rack.omni_port, int(rack.factory.url.rpartition(":")[2]), *(m.bmc.port for m in rack.machines)]
        folder = rack.state_dir
        assert all(usual_or_free(port) != port for port in ports)

    assert [usual_or_free(port) for port in ports] == ports
    assert not folder.exists()


def test_omni_taken_away_comes_back_at_the_same_port():
    with RackThread(RackOptions(machines=1, provider_port=free_port())) as thread:
        url = thread.rack.omni_url
        thread.wait(thread.rack.stop_omni)
        assert usual_or_free(thread.rack.omni_port) == thread.rack.omni_port
        thread.wait(thread.rack.start_omni)

        assert thread.rack.omni_url == url
        assert usual_or_free(thread.rack.omni_port) != thread.rack.omni_port

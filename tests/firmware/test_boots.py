"""Real firmware boots a real kernel by our DHCP proxy, TFTP and HTTP, and by the script of our web process."""

import json

import pytest
import yaml

from lab.tls import unpack_inline
from tests.firmware.cases import CASES, machine_of
from tests.firmware.conftest import missing_for
from tests.firmware.places import ASSETS_WORDS, Place
from tests.firmware.qemu import LIMIT_S
from tests.required import need

# All that is before it in the line of boots, and the networks, may have to come first.
pytestmark = [pytest.mark.firmware, pytest.mark.timeout(LIMIT_S * len(CASES))]

SHOWN = 4000
CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}


def told(log, mac):
    """The boot files that our DHCP proxy named to a machine, one after the other; an offer and its ACK are one."""
    files = []
    for line in log.read_text(errors="replace").splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("mac") == mac and "boot_file" in event and files[-1:] != [event["boot_file"]]:
            files.append(event["boot_file"])
    return files


@pytest.mark.parametrize("name", CASES)
def test_firmware_boots_the_kernel_of_its_own_script(name, row, boots, places):
    case, machine = CASES[name], machine_of(name)
    row(f"{name}: {case.words}; {case.place}")
    need(f"not installed: {', '.join(missing_for(case))}" if missing_for(case) else "")
    booted = boots[name].result()
    row(f"{name}: {case.words}; {case.place}", booted.seconds)
    site, arguments = places.sites[case.place], booted.arguments.split()
    log = places.logs[case.place]

    assert arguments, f"no kernel was booted:\n{booted.console[-SHOWN:]}\n{log.read_text()[-SHOWN:]}"
    # iPXE itself has put the UUID there: so it was the script that our web process gave this machine.
    assert f"talos.config={site.url}/config?u={machine.id}" in arguments
    assert f"console={CONSOLES[case.arch]}" in arguments
    assert f"metal.provider.address={site.agents_dial}" in arguments
    assert (ASSETS_WORDS in booted.arguments) == (case.place is Place.ASSETS)
    files = told(log, machine.mac)
    assert len(files) == len(case.told), files
    assert all(file.endswith(end) for file, end in zip(files, case.told, strict=True)), files


@pytest.mark.parametrize("name", ["uefi-assets"])
def test_kernel_has_the_whole_configuration_in_its_arguments_with_tls(name, row, boots):
    row(f"{name}: the machine configuration in the kernel's arguments")
    need(f"not installed: {', '.join(missing_for(CASES[name]))}" if missing_for(CASES[name]) else "")
    arguments = boots[name].result().arguments
    row(f"{name}: the machine configuration in the kernel's arguments, {len(arguments)} bytes")
    values = dict(word.partition("=")[::2] for word in arguments.split())

    kinds = [document["kind"] for document in yaml.safe_load_all(unpack_inline(values["talos.config.inline"]))]
    assert (kinds[0], kinds[-1]) == ("SideroLinkConfig", "TrustedRootsConfig")

"""What firmware tests stand on, and the machines that boot meanwhile."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.errors import StartError
from tests.firmware.cases import CASES, firmware_of, machine_of
from tests.firmware.clients import Clients
from tests.firmware.downloads import downloads
from tests.firmware.places import Place, Places
from tests.firmware.qemu import boot
from tests.required import need

# Each QEMU keeps one processor busy, and CI has two.
SIDE_BY_SIDE = 2
TOOLS = {
    "ip": "iproute2",
    "dnsmasq": "dnsmasq-base",
    "curl": "curl",
    "cpio": "cpio",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}


@pytest.fixture
def row(record_property):
    """Note what the table is to say of a test, and how long what was measured took."""

    def note(words, seconds=None):
        record_property("row", (words, seconds))

    return note


@pytest.fixture(scope="session")
def namespaces():
    """Root and the tools for networks of our own are there."""
    need("" if os.geteuid() == 0 else "network namespaces need root")
    missing = [package for program, package in TOOLS.items() if not shutil.which(program)]
    need(f"not installed: {', '.join(missing)}" if missing else "")


@pytest.fixture(scope="session")
def fetched():
    """Kernels and iPXE are there."""
    try:
        return downloads()
    except StartError as error:
        return need(f"kernels and iPXE cannot be fetched: {error}")


@pytest.fixture(scope="session")
def places(namespaces, fetched, tmp_path_factory):
    """The networks; a test opens what it needs."""
    with Places(tmp_path_factory.mktemp("places")) as opened:
        yield opened


@pytest.fixture(scope="session")
def site(places):
    """The provider of the ordinary network, once machines can boot there."""
    places.open({Place.SITE})
    return places.sites[Place.SITE]


@pytest.fixture(scope="session")
def clients(site, places):
    """Hosts on its LAN."""
    with Clients(places.lans[Place.SITE]) as hosts:
        yield hosts


@pytest.fixture(scope="session")
def boots(request, places, tmp_path_factory):
    """The boots of all cases that are to be tested and can be, as futures by their names. Two go on at a time."""
    names = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    wanted = {name: case for name, case in CASES.items() if name in names and not missing_for(case)}
    places.open({case.place for case in wanted.values()})
    folder = tmp_path_factory.mktemp("boots")
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            yield {name: pool.submit(_boot, name, places, folder / name) for name in wanted}
        finally:
            pool.shutdown(cancel_futures=True)


def missing_for(case):
    """The packages that a case needs and that are not installed."""
    return [package for file, package in case.packages.items() if not Path(file).exists()]


def _boot(name, places, folder):
    folder.mkdir()
    case, machine = CASES[name], machine_of(name)
    firmware = firmware_of(case, downloads().bios_ipxe, folder)
    return boot(firmware, places.lans[case.place], folder, machine)

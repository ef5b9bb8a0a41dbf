"""Firmware of which there is no free one, by what it sends: it is told its boot file, and gets it."""

import shutil

import pytest

from tests.firmware.downloads import downloads
from tests.required import need

pytestmark = pytest.mark.firmware

BY_TFTP = {
    "BIOS, PXE of the network card": (0, "undionly.kpxe", "undionly.kpxe"),
    "UEFI of 32 bits": (6, "snp.efi", "snponly.efi"),
    "UEFI, by its number of today": (9, "snp.efi", "snponly.efi"),
    "U-Boot on arm64": (22, "snp-arm64.efi", "ipxe-arm64.efi"),
}
BY_HTTP = {
    "UEFI of 32 bits, HTTP boot": (15, "amd64/snp.efi", "snponly.efi"),
    "UEFI on arm64, HTTP boot": (19, "arm64/snp.efi", "ipxe-arm64.efi"),
    "U-Boot on arm64, HTTP boot": (24, "arm64/snp.efi", "ipxe-arm64.efi"),
}


def offer_of_ours(clients, machine, site):
    """Ours of the two offers on this LAN; the other one has the address."""
    offers = {heard.source[0]: heard.answer for heard in machine.offers()}
    ours = offers.pop(site.address)
    [other] = offers.values()
    assert (ours.yiaddr, other.boot_file) == ("0.0.0.0", "")
    assert other.yiaddr != "0.0.0.0"
    return ours


@pytest.mark.parametrize("client", BY_TFTP)
def test_firmware_gets_its_binary_by_tftp(client, row, site, clients, tmp_path):
    row(f"simulated: {client}")
    need("" if shutil.which("tftp") else "not installed: tftp-hpa")
    arch, name, binary = BY_TFTP[client]

    with clients.machine(arch) as machine:
        offer = offer_of_ours(clients, machine, site)
        acknowledged = clients.acknowledged(machine, offer.server).answer
    for answer in (offer, acknowledged):
        assert (answer.boot_file, answer.file, answer.siaddr) == (name, name, site.address)
        assert answer.options[66].decode() == site.address

    content = (downloads().ipxe / binary).read_bytes()
    by_curl, by_tftp = tmp_path / "curl", tmp_path / "tftp"
    clients.settled.run(["curl", "--silent", "--fail", "--output", by_curl, f"tftp://{site.address}/{name}"])
    clients.settled.run(["tftp", "-m", "binary", site.address, "-c", "get", name, by_tftp])
    assert by_curl.read_bytes() == by_tftp.read_bytes() == content


@pytest.mark.parametrize("client", BY_HTTP)
def test_firmware_gets_its_binary_by_http(client, row, site, clients, tmp_path):
    row(f"simulated: {client}")
    arch, name, binary = BY_HTTP[client]
    content = (downloads().ipxe / binary).read_bytes()

    with clients.machine(arch) as machine:
        offer = offer_of_ours(clients, machine, site)
        acknowledged = clients.acknowledged(machine, offer.server).answer
    assert offer.boot_file == acknowledged.boot_file == f"{site.url}/tftp/{name}"
    assert offer.options[60].startswith(b"HTTPClient")

    head = clients.settled.run(["curl", "--silent", "--fail", "--head", offer.boot_file])
    assert f"content-length: {len(content)}" in head.lower()
    got = tmp_path / "got"
    clients.settled.run(["curl", "--silent", "--fail", "--output", got, offer.boot_file])
    assert got.read_bytes() == content

"""Folders with files in the place of iPXE binaries, and certificates of RSA, which iPXE wants."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa

from app.boot.ipxe.authority import IPXE_ROOT
from tests.unit.tls.certificates import make

DEBIAN = ("undionly.kpxe", "ipxe-amd64.efi", "snponly.efi", "ipxe-arm64.efi")


def content_of(name):
    """What a file of this name holds: that it is this file, and as an EFI binary iPXE's own root."""
    return f"MZ {name} ".encode() + (IPXE_ROOT if name.endswith(".efi") else b"compressed") + b" the end"


def fill(folder, names=DEBIAN):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content_of(name))
    return folder


@cache
def rsa_key():
    return rsa.generate_private_key(65_537, 2048)


def rsa_ca(name="own", by=None, *, ca=True):
    return make(name, by, ca=ca, key=rsa_key())

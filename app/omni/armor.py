"""ASCII armor of OpenPGP (RFC 9580, section 6): the bytes between its header line and its tail line."""

from __future__ import annotations

import base64
import binascii
import re

PRIVATE_KEY = "PGP PRIVATE KEY BLOCK"
PUBLIC_KEY = "PGP PUBLIC KEY BLOCK"

_CRC24_INIT = 0xB704CE
_CRC24_POLY = 0x1864CFB
_CHECKSUM_CHARS = 4
_BEGIN = re.compile(r"-----BEGIN (PGP [A-Z0-9 ,/]+)-----")


class ArmorBroken(Exception):
    """The text is no armor, or it was damaged; the text says how, without a byte of what was in it."""


def unarmor(text: str) -> tuple[str, bytes]:
    """What the armor says that it holds (`PRIVATE_KEY`), and its bytes. Raises ArmorBroken."""
    lines = [line.strip() for line in text.strip().splitlines()]
    begin = _BEGIN.fullmatch(lines[0]) if lines else None
    if begin is None:
        raise ArmorBroken("its first line is not `-----BEGIN PGP PRIVATE KEY BLOCK-----`")
    label = begin.group(1)
    if lines[-1] != f"-----END {label}-----":
        raise ArmorBroken(f"its last line is not `-----END {label}-----`: it was cut")
    body = lines[1:-1]
    # Headers such as `Version: …` end at an empty line; an armor without headers begins with it.
    body = body[body.index("") + 1 :] if "" in body else [line for line in body if ":" not in line]
    body = [line for line in body if line]
    checksum = _decode(body.pop()[1:]) if body and _is_checksum(body[-1]) else b""
    data = _decode("".join(body))
    if checksum and checksum != crc24(data).to_bytes(3, "big"):
        raise ArmorBroken("its checksum does not fit: a part of it was changed or lost")
    return label, data


def crc24(data: bytes) -> int:
    """The checksum of armor (RFC 9580, section 6.1.1)."""
    crc = _CRC24_INIT
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= _CRC24_POLY
    return crc


def _is_checksum(line: str) -> bool:
    return line.startswith("=") and len(line) == 1 + _CHECKSUM_CHARS


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ArmorBroken("there is something in it that is not base64") from None

"""Signed requests: a detached OpenPGP signature (RFC 9580) for each call, and the three headers that carry it.

Omni checks the method, the time (five minutes either way) and ten header names of which we send one, the time;
docs/omni.md has the layout. Nothing is cached: a signature takes some 40 µs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets

from app.omni.key import ED25519, Key
from app.omni.packets import SIGNATURE, length, mpi, packet

TIMESTAMP_HEADER = "x-sidero-timestamp"
PAYLOAD_HEADER = "x-sidero-payload"
SIGNATURE_HEADER = "x-sidero-signature"
SIGNATURE_VERSION = "siderov1"

_OF_BINARY_DATA = 0x00
_SHA256 = 8
_SALT_BYTES = 16  # of a version 6 signature with SHA-256
_CREATED, _ISSUER_KEY_ID, _ISSUER_FINGERPRINT = 2, 16, 33


def signed_headers(key: Key, identity: str, method: str, now_s: int) -> tuple[tuple[str, str], ...]:
    """The metadata of one call, signed.

    Args:
        key: what is signed with.
        identity: whose it is; Omni writes it to its log.
        method: with its service, as `/cosi.resource.State/Get`.
        now_s: seconds since 1970, for the header and for the signature alike.
    """
    payload = json.dumps({"headers": {TIMESTAMP_HEADER: [str(now_s)]}, "method": method}, separators=(",", ":"))
    signature = base64.b64encode(detached(key, payload.encode(), now_s)).decode()
    return (
        (TIMESTAMP_HEADER, str(now_s)),
        (PAYLOAD_HEADER, payload),
        (SIGNATURE_HEADER, f"{SIGNATURE_VERSION} {identity} {key.fingerprint.hex()} {signature}"),
    )


def detached(key: Key, data: bytes, now_s: int) -> bytes:
    """A signature packet for `data`, made at `now_s`."""
    issuer = bytes([key.version]) + key.fingerprint
    hashed = _subpacket(_CREATED, now_s.to_bytes(4, "big")) + _subpacket(_ISSUER_FINGERPRINT, issuer)
    count = 4 if key.version == 6 else 2
    head = bytes([key.version, _OF_BINARY_DATA, key.algorithm, _SHA256]) + len(hashed).to_bytes(count, "big") + hashed
    # Version 6 names its issuer by the fingerprint alone, and begins what it signs with a salt.
    unhashed = b"" if key.version == 6 else _subpacket(_ISSUER_KEY_ID, key.key_id)
    salt = secrets.token_bytes(_SALT_BYTES) if key.version == 6 else b""
    trailer = bytes([key.version, 0xFF]) + len(head).to_bytes(4, "big")
    digest = hashlib.sha256(salt + data + head + trailer).digest()
    signed = key.private.sign(digest)
    half = len(signed) // 2
    numbers = signed if key.algorithm == ED25519 else mpi(signed[:half]) + mpi(signed[half:])
    salted = bytes([len(salt)]) + salt if salt else b""
    return packet(SIGNATURE, head + len(unhashed).to_bytes(count, "big") + unhashed + digest[:2] + salted + numbers)


def _subpacket(kind: int, body: bytes) -> bytes:
    return length(1 + len(body)) + bytes([kind]) + body

"""An OpenPGP private key of Ed25519 (RFC 9580), read by hand: what is signed with, and until when.

Keys that `omnictl` makes are of version 4 with algorithm 22, the older encoding of Ed25519; other programs make
algorithm 27, and keys of version 6. Only the primary key signs; subkeys are for encryption and are passed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.omni.armor import PRIVATE_KEY, PUBLIC_KEY, ArmorBroken, unarmor
from app.omni.packets import (
    PUBLIC_SUBKEY,
    SECRET_KEY,
    SECRET_SUBKEY,
    SIGNATURE,
    USER_ID,
    Fields,
    Packet,
    PacketBroken,
    packets,
    subpackets,
)

EDDSA_LEGACY = 22
ED25519 = 27
ALGORITHMS = {
    1: "RSA",
    2: "RSA",
    3: "RSA",
    16: "ElGamal",
    17: "DSA",
    18: "ECDH",
    19: "ECDSA",
    22: "EdDSA of another curve",
    25: "X25519",
    26: "X448",
    28: "Ed448",
}
CURVE_ED25519 = bytes.fromhex("2b06010401da470f01")
NATIVE_POINT = 0x40
POINT_BYTES = 32

# Signatures of the key's holder on itself: on a user id, or on the key.
SELF_SIGNATURES = frozenset({0x10, 0x11, 0x12, 0x13, 0x1F})
CREATED, KEY_LIFE, ISSUER = 2, 9, 33


class KeyUnusable(Exception):
    """A key that cannot be used; the text says why, without a byte of it."""


@dataclass(frozen=True, slots=True)
class Key:
    """One private key. expires_s: seconds since 1970, or None if it does not expire."""

    version: int
    algorithm: int
    created_s: int
    expires_s: int | None
    fingerprint: bytes
    user_id: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def key_id(self) -> bytes:
        """The short name of the key."""
        return self.fingerprint[:8] if self.version == 6 else self.fingerprint[-8:]


def read_key(text: str) -> Key:
    """The key in this armor. Raises KeyUnusable."""
    try:
        label, data = unarmor(text)
        if label == PUBLIC_KEY:
            raise KeyUnusable("holds a public key, and no private key")
        if label != PRIVATE_KEY:
            raise KeyUnusable(f"holds a {label}, and no private key")
        return _read(tuple(packets(data)))
    except ArmorBroken as error:
        raise KeyUnusable(f"is damaged: {error}") from None
    except PacketBroken as error:
        raise KeyUnusable(f"is damaged: {error}") from None


def _read(found: Sequence[Packet]) -> Key:
    if not found or found[0].tag != SECRET_KEY:
        raise KeyUnusable("holds no private key")
    fields = Fields(found[0].body)
    version, created_s, algorithm = fields.number(1), fields.number(4), fields.number(1)
    if version not in (4, 6):
        raise KeyUnusable(f"is of version {version}; versions 4 and 6 are supported")
    point = _public_point(fields, version, algorithm)
    body = found[0].body[: fields.position]
    private = _private(fields, version, algorithm)
    if private.public_key().public_bytes_raw() != point:
        raise KeyUnusable("is damaged: its private and its public half do not fit together")
    fingerprint = _fingerprint(version, body)
    primary = _primary(found)
    life_s = _life_s(primary, bytes([version]) + fingerprint)
    return Key(
        version=version,
        algorithm=algorithm,
        created_s=created_s,
        expires_s=created_s + life_s if life_s else None,
        fingerprint=fingerprint,
        user_id=next((p.body.decode(errors="replace") for p in primary if p.tag == USER_ID), ""),
        private=private,
    )


def _public_point(fields: Fields, version: int, algorithm: int) -> bytes:
    if version == 6:
        fields.take(4)  # how long what follows is, which the algorithm says as well
    if algorithm == ED25519:
        return fields.take(POINT_BYTES)
    if algorithm == EDDSA_LEGACY and fields.take(fields.number(1)) == CURVE_ED25519:
        point = fields.mpi()
        if len(point) != 1 + POINT_BYTES or point[0] != NATIVE_POINT:
            raise KeyUnusable("is damaged: its public half is no point of Ed25519")
        return point[1:]
    name = ALGORITHMS.get(algorithm, "unknown")
    raise KeyUnusable(f"is of the wrong algorithm ({name}, number {algorithm}); Omni's keys are Ed25519")


def _private(fields: Fields, version: int, algorithm: int) -> Ed25519PrivateKey:
    if fields.number(1):
        raise KeyUnusable("is encrypted with a passphrase, for which there is no place here")
    begin = fields.position
    secret = fields.take(POINT_BYTES) if algorithm == ED25519 else fields.mpi()
    if len(secret) > POINT_BYTES:
        raise KeyUnusable("is damaged: its private half is too long for Ed25519")
    if version == 4:
        stored = fields.position - begin
        fields.position = begin
        checksum = sum(fields.take(stored)) & 0xFFFF
        if fields.number(2) != checksum:
            raise KeyUnusable("is damaged: the checksum of its private half does not fit")
    return Ed25519PrivateKey.from_private_bytes(secret.rjust(POINT_BYTES, b"\0"))


def _fingerprint(version: int, body: bytes) -> bytes:
    if version == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).digest()
    # The name of a version 4 key is its SHA-1, and protects nothing.
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).digest()


def _primary(found: Sequence[Packet]) -> Sequence[Packet]:
    """The packets that belong to the primary key."""
    end = next((i for i, p in enumerate(found) if p.tag in (SECRET_SUBKEY, PUBLIC_SUBKEY)), len(found))
    return found[:end]


def _life_s(primary: Sequence[Packet], holder: bytes) -> int:
    """Seconds from the key's creation to its end by its holder's newest signature on it; 0: it has none."""
    newest_s, life_s = -1, 0
    for signature in (p for p in primary if p.tag == SIGNATURE):
        said = _said(Fields(signature.body))
        created_s = int.from_bytes(said.get(CREATED, b""), "big")
        if said and said.get(ISSUER, holder) == holder and created_s > newest_s:
            newest_s, life_s = created_s, int.from_bytes(said.get(KEY_LIFE, b"")[:4], "big")
    return life_s


def _said(fields: Fields) -> dict[int, bytes]:
    """The signed subpackets of a self-signature; empty for any other signature."""
    version, kind = fields.number(1), fields.number(1)
    if version not in (4, 6) or kind not in SELF_SIGNATURES:
        return {}
    fields.take(2)  # the algorithms
    area = fields.take(fields.number(4 if version == 6 else 2))
    return {subpacket.tag: subpacket.body for subpacket in subpackets(area)}

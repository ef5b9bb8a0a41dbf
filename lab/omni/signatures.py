"""The stand-in's check of signed requests, as strict as Omni's: who signed, what, and when.

Each failure looks the same to the caller, UNAUTHENTICATED `invalid signature`; the reason is in `refusals`, as it is
in Omni's log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature

from app.omni.packets import SIGNATURE, Fields, PacketBroken, packets, subpackets
from lab.omni.keys import AccountKey

ALLOWED_S: Final = 300
# What Omni compares with the metadata; all other headers are free.
SIGNED_HEADERS: Final = (
    "x-sidero-timestamp",
    "nodes",
    "selectors",
    "fieldSelectors",
    "runtime",
    "context",
    "cluster",
    "namespace",
    "uid",
    "authorization",
)
ED25519, SHA256 = 27, 8
CREATED, ISSUER = 2, 33
KEPT_REFUSALS: Final = 100

Metadata = Mapping[str, Sequence[str]]


class SignatureRefused(Exception):
    """The request is not signed as it should be; the text is for the stand-in's own log."""


@dataclass(frozen=True, slots=True)
class _Signature:
    """A signature packet, taken apart."""

    created_s: int
    issuer: bytes
    head: bytes
    prefix: bytes
    salt: bytes
    numbers: bytes


class Signatures:
    """The keys that are known, and the check of a call against them.

    clock: seconds since 1970; another than the host's makes callers' clocks wrong.
    """

    def __init__(self, *keys: AccountKey, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.refusals: deque[str] = deque(maxlen=KEPT_REFUSALS)
        self._keys = {key.fingerprint: key for key in keys}

    def add(self, key: AccountKey) -> None:
        """Know one more key, as `omnictl infraprovider renewkey` has it."""
        self._keys[key.fingerprint] = key

    def forget(self, key: AccountKey) -> None:
        """Know a key no more, as when its account is deleted."""
        self._keys.pop(key.fingerprint, None)

    def accepts(self, method: str, metadata: Metadata) -> bool:
        """Whether a call is signed as it should be.

        Args:
            method: with its service, as `/cosi.resource.State/Get`.
            metadata: all of the call's headers, each with its values.
        """
        try:
            self._check(method, metadata)
        except SignatureRefused as refused:
            self.refusals.append(f"{method}: {refused}")
            return False
        return True

    def _check(self, method: str, metadata: Metadata) -> None:
        now_s = self.clock()
        payload = _only(metadata, "x-sidero-payload").encode()
        self._check_time("timestamp", _number(_only(metadata, "x-sidero-timestamp")), now_s)
        self._check_signature(_only(metadata, "x-sidero-signature"), payload, now_s)
        _check_payload(payload, method, metadata)

    def _check_signature(self, header: str, data: bytes, now_s: float) -> None:
        parts = header.split(" ")
        if len(parts) != 4 or parts[0] != "siderov1":
            raise SignatureRefused("the signature header has not four parts")
        key = self._keys.get(parts[2])
        if key is None:
            raise SignatureRefused("no such key")
        signature = _read(parts[3])
        if signature.issuer[1:].hex() != key.fingerprint:
            raise SignatureRefused("signed by another key")
        if signature.created_s < key.created_s:
            raise SignatureRefused("no valid self signature found: signed before the key was made")
        if max(signature.created_s, now_s) >= key.expires_s:
            raise SignatureRefused("the key has expired")
        self._check_time("signature", signature.created_s, now_s)
        _verify(key, signature, data)

    def _check_time(self, what: str, then_s: float, now_s: float) -> None:
        if abs(then_s - now_s) > ALLOWED_S:
            raise SignatureRefused(f"the {what} is {abs(then_s - now_s):.0f} s off")


def _check_payload(payload: bytes, method: str, metadata: Metadata) -> None:
    try:
        content = json.loads(payload)
        signed_method, signed = content["method"], content["headers"]
    except (ValueError, KeyError, TypeError):
        raise SignatureRefused("the payload is not JSON of headers and method") from None
    if signed_method != method:
        raise SignatureRefused(f"signed for {signed_method}")
    for name in SIGNED_HEADERS:
        sent = list(metadata[name]) if name in metadata else None
        if signed.get(name) != sent:
            raise SignatureRefused(f"the header {name} is not the one that was signed")


def _read(text: str) -> _Signature:
    try:
        (found,) = packets(base64.b64decode(text, validate=True))
        if found.tag != SIGNATURE:
            raise SignatureRefused("no signature packet")
        fields = Fields(found.body)
        version, kind, algorithm, hashing = fields.take(4)
        if version not in (4, 6) or kind != 0 or hashing != SHA256:
            raise SignatureRefused(f"a signature of version {version}, kind {kind} and hash {hashing}")
        count = 4 if version == 6 else 2
        hashed = fields.take(fields.number(count))
        head = found.body[: fields.position]
        fields.take(fields.number(count))
        prefix = fields.take(2)
        salt = fields.take(fields.number(1)) if version == 6 else b""
        numbers = fields.take(64) if algorithm == ED25519 else _half(fields) + _half(fields)
        said = {subpacket.tag: subpacket.body for subpacket in subpackets(hashed)}
    except (binascii.Error, PacketBroken, ValueError):
        raise SignatureRefused("no signature packet") from None
    created_s = int.from_bytes(said.get(CREATED, b""), "big")
    return _Signature(created_s, said.get(ISSUER, b""), head, prefix, salt, numbers)


def _half(fields: Fields) -> bytes:
    return fields.mpi().rjust(32, b"\0")


def _verify(key: AccountKey, signature: _Signature, data: bytes) -> None:
    trailer = bytes([signature.head[0], 0xFF]) + len(signature.head).to_bytes(4, "big")
    digest = hashlib.sha256(signature.salt + data + signature.head + trailer).digest()
    try:
        key.public.verify(signature.numbers, digest)
    except InvalidSignature:
        raise SignatureRefused("the signature does not fit") from None
    if digest[:2] != signature.prefix:
        raise SignatureRefused("the first two bytes of the digest do not fit")


def _only(metadata: Metadata, name: str) -> str:
    values = metadata.get(name, ())
    if len(values) != 1:
        raise SignatureRefused(f"{len(values)} headers {name}")
    return values[0]


def _number(text: str) -> int:
    if not text.isdecimal():
        raise SignatureRefused("the timestamp is no number")
    return int(text)

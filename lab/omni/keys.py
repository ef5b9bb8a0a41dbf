"""Keys of service accounts as `omnictl` makes them: an armored OpenPGP key in base64 of JSON.

A key has a primary half that signs, a user id with the holder's signature on it, which bears the end of its life,
and a subkey for encryption that nobody uses.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import json
import secrets
import textwrap
import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from app.omni.armor import PRIVATE_KEY, crc24
from app.omni.packets import SECRET_KEY, SECRET_SUBKEY, SIGNATURE, USER_ID, length, mpi, packet

# What `omnictl` gives a key if it is not told otherwise.
LIFE_S = 8760 * 3600
POSITIVE_CERTIFICATION, SUBKEY_BINDING, DIRECT_KEY = 0x13, 0x18, 0x1F
CREATED, KEY_LIFE, KEY_FLAGS, ISSUER = 2, 9, 27, 33
CERTIFY_AND_SIGN, ENCRYPT = 0x03, 0x0C
SHA512 = 10
ED25519_OID = bytes.fromhex("092b06010401da470f01")
CURVE25519_OID = bytes.fromhex("0a2b060104019755010501")
KDF = bytes.fromhex("03010807")


class Encoding(enum.Enum):
    """How the key is written: its version, and the algorithms of its two halves."""

    LEGACY = (4, 22, 18)
    NATIVE = (4, 27, 25)
    VERSION_6 = (6, 27, 25)


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A key, and what the server knows of it. variable: the value of OMNI_SERVICE_ACCOUNT_KEY."""

    fingerprint: str
    created_s: int
    expires_s: int
    public: Ed25519PublicKey = field(repr=False)
    armored: str = field(repr=False)
    variable: str = field(repr=False)


def make_key(
    provider_id: str,
    *,
    created_s: int | None = None,
    life_s: int = LIFE_S,
    encoding: Encoding = Encoding.LEGACY,
    private: Ed25519PrivateKey | None = None,
) -> AccountKey:
    """A key of the provider's account.

    Args:
        provider_id: as in `omnictl infraprovider create ID`.
        created_s: seconds since 1970; without, it is now.
        life_s: seconds for which it is good.
        encoding: how it is written.
        private: what it signs with; without, chance decides.
    """
    created_s = int(time.time()) if created_s is None else created_s
    private = private or Ed25519PrivateKey.generate()
    maker = _Maker(encoding, created_s, private)
    identity = f"{provider_id}@infra-provider.serviceaccount.omni.sidero.dev"
    armored = armor(maker.key(f"{provider_id} <{identity}>".encode(), life_s))
    content = json.dumps({"name": f"infra-provider:{provider_id}", "pgp_key": armored})
    return AccountKey(
        maker.fingerprint.hex(),
        created_s,
        created_s + life_s,
        private.public_key(),
        armored,
        base64.b64encode(content.encode()).decode(),
    )


def armor(data: bytes, label: str = PRIVATE_KEY) -> str:
    """ASCII armor with its checksum."""
    lines = textwrap.wrap(base64.b64encode(data).decode(), 64)
    checksum = base64.b64encode(crc24(data).to_bytes(3, "big")).decode()
    return "\n".join([f"-----BEGIN {label}-----", "", *lines, f"={checksum}", f"-----END {label}-----", ""])


class _Maker:
    def __init__(self, encoding: Encoding, created_s: int, private: Ed25519PrivateKey) -> None:
        self._version, self._algorithm, self._sub_algorithm = encoding.value
        self._created_s = created_s
        self._private = private
        self._body = self._public(private.public_key().public_bytes_raw(), self._algorithm, ED25519_OID)
        hashing = hashlib.sha256 if self._version == 6 else hashlib.sha1
        self.fingerprint = hashing(self._framed(self._body)).digest()

    def key(self, user_id: bytes, life_s: int) -> bytes:
        """All packets of the key."""
        subkey = X25519PrivateKey.generate()
        sub_point, sub_secret = subkey.public_key().public_bytes_raw(), subkey.private_bytes_raw()
        sub_body = self._public(sub_point, self._sub_algorithm, CURVE25519_OID, after=KDF)
        if self._legacy:
            sub_secret = sub_secret[::-1]  # the older encoding has it the other way round
        about_user = b"\xb4" + len(user_id).to_bytes(4, "big") + user_id
        life = (KEY_LIFE, life_s.to_bytes(4, "big"))
        use = (KEY_FLAGS, bytes([CERTIFY_AND_SIGN]))
        # Version 6 says what the key is for by itself, and not only with the user id.
        direct = self._signature(DIRECT_KEY, b"", life, use) if self._version == 6 else b""
        return b"".join(
            [
                packet(SECRET_KEY, self._body + self._secret(self._private.private_bytes_raw())),
                direct,
                packet(USER_ID, user_id),
                self._signature(POSITIVE_CERTIFICATION, about_user, life, use),
                packet(SECRET_SUBKEY, sub_body + self._secret(sub_secret)),
                self._signature(SUBKEY_BINDING, self._framed(sub_body), life, (KEY_FLAGS, bytes([ENCRYPT]))),
            ]
        )

    @property
    def _legacy(self) -> bool:
        return self._algorithm == Encoding.LEGACY.value[1]

    def _public(self, point: bytes, algorithm: int, oid: bytes, after: bytes = b"") -> bytes:
        material = oid + mpi(b"\x40" + point) + after if self._legacy else point
        count = len(material).to_bytes(4, "big") if self._version == 6 else b""
        return bytes([self._version]) + self._created_s.to_bytes(4, "big") + bytes([algorithm]) + count + material

    def _secret(self, secret: bytes) -> bytes:
        material = mpi(secret) if self._legacy else secret
        checksum = b"" if self._version == 6 else (sum(material) & 0xFFFF).to_bytes(2, "big")
        return b"\0" + material + checksum

    def _framed(self, body: bytes) -> bytes:
        """A key as it is signed, and as its fingerprint is made."""
        if self._version == 6:
            return b"\x9b" + len(body).to_bytes(4, "big") + body
        return b"\x99" + len(body).to_bytes(2, "big") + body

    def _signature(self, kind: int, about: bytes, *more: tuple[int, bytes]) -> bytes:
        """The holder's signature on something of this key."""
        said = (
            (CREATED, self._created_s.to_bytes(4, "big")),
            (ISSUER, bytes([self._version]) + self.fingerprint),
            *more,
        )
        hashed = b"".join(length(1 + len(body)) + bytes([number]) + body for number, body in said)
        count = 4 if self._version == 6 else 2
        head = bytes([self._version, kind, self._algorithm, SHA512]) + len(hashed).to_bytes(count, "big") + hashed
        salt = secrets.token_bytes(32) if self._version == 6 else b""
        trailer = bytes([self._version, 0xFF]) + len(head).to_bytes(4, "big")
        digest = hashlib.sha512(salt + self._framed(self._body) + about + head + trailer).digest()
        signed = self._private.sign(digest)
        numbers = mpi(signed[:32]) + mpi(signed[32:]) if self._legacy else signed
        salted = bytes([len(salt)]) + salt if salt else b""
        return packet(SIGNATURE, head + bytes(count) + digest[:2] + salted + numbers)

"""The secrets of a session: what both sides prove they know, and what signs and hides their packets. Pure.

IPMI v2.0 §13.28 to §13.32. The key of the BMC itself (KG) is not set, so the user's password stands for it (§13.31).
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from lab.bmc.ipmi.packets import Frame, Malformed, Payload

BLOCK_BYTES: Final = 16
NEXT_HEADER: Final = 7  # a fixed byte of the trailer
_ONES: Final = b"\x01" * 20
_TWOS: Final = b"\x02" * 20


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher suite. digest: of its HMAC; code_bytes: how much of it signs a packet; algorithms: as on the wire."""

    number: int
    digest: str
    code_bytes: int
    algorithms: tuple[int, int, int]

    def record(self) -> bytes:
        """The suite as Get Channel Cipher Suites lists it (table 22-18)."""
        authentication, integrity, confidentiality = self.algorithms
        return bytes([0xC0, self.number, authentication, 0x40 | integrity, 0x80 | confidentiality])


SUITES: Final = (Suite(3, "sha1", 12, (1, 1, 1)), Suite(17, "sha256", 16, (3, 4, 1)))
BY_ALGORITHMS: Final[Mapping[tuple[int, int, int], Suite]] = {suite.algorithms: suite for suite in SUITES}


@dataclass(frozen=True, slots=True)
class Proof:
    """What both sides have said in the handshake, which their codes are made of."""

    suite: Suite
    console_id: int
    bmc_id: int
    console_random: bytes
    bmc_random: bytes
    guid: bytes
    role: int
    name: bytes

    def of_bmc(self, password: bytes) -> bytes:
        """The code in RAKP message 2: the BMC knows the password."""
        ids = struct.pack("<II", self.console_id, self.bmc_id)
        return self._hmac(password, ids + self.console_random + self.bmc_random + self.guid + self._who())

    def of_console(self, password: bytes) -> bytes:
        """The code in RAKP message 3: so does the program."""
        return self._hmac(password, self.bmc_random + struct.pack("<I", self.console_id) + self._who())

    def session_key(self, password: bytes) -> bytes:
        """The secret that all keys of the session come from (SIK)."""
        return self._hmac(password, self.console_random + self.bmc_random + self._who())

    def of_session(self, session_key: bytes) -> bytes:
        """The code in RAKP message 4: the BMC has the same secret."""
        code = self._hmac(session_key, self.console_random + struct.pack("<I", self.bmc_id) + self.guid)
        return code[: self.suite.code_bytes]

    def keys(self, session_key: bytes) -> Keys:
        """What signs and hides the packets."""
        hides = self._hmac(session_key, _TWOS)[:BLOCK_BYTES]
        return Keys(self.suite, self._hmac(session_key, _ONES), hides)

    def _who(self) -> bytes:
        return bytes([self.role, len(self.name)]) + self.name

    def _hmac(self, key: bytes, said: bytes) -> bytes:
        return hmac.digest(key, said, self.suite.digest)


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What signs (K1) and hides (K2) the packets of a session."""

    suite: Suite
    signs: bytes
    hides: bytes

    def seal(self, session_id: int, sequence: int, payload: bytes) -> Frame:
        """Hide and sign a message."""
        frame = Frame(Payload.IPMI, self._hidden(payload), session_id, sequence, encrypted=True, signed=True)
        body = frame.body()
        padding = -(len(body) + 2) % 4
        tail = b"\xff" * padding + bytes([padding, NEXT_HEADER])
        return replace(frame, trailer=tail + self._code(body + tail))

    def unseal(self, frame: Frame) -> bytes:
        """The message inside of a packet.

        Raises:
            Malformed: it was not made with these keys, or not as the suite wants it.
        """
        tail, code = frame.trailer[: -self.suite.code_bytes], frame.trailer[-self.suite.code_bytes :]
        if not (frame.signed and frame.encrypted) or len(tail) < 2 or tail[-1] != NEXT_HEADER:
            raise Malformed("not signed and hidden")
        if not hmac.compare_digest(self._code(frame.body() + tail), code):
            raise Malformed("signed with another key")
        return self._shown(frame.payload)

    def _code(self, said: bytes) -> bytes:
        return hmac.digest(self.signs, said, self.suite.digest)[: self.suite.code_bytes]

    def _hidden(self, payload: bytes) -> bytes:
        padding = -(len(payload) + 1) % BLOCK_BYTES
        start = os.urandom(BLOCK_BYTES)
        cipher = Cipher(AES(self.hides), CBC(start)).encryptor()
        return start + cipher.update(payload + bytes(range(1, padding + 1)) + bytes([padding])) + cipher.finalize()

    def _shown(self, payload: bytes) -> bytes:
        if len(payload) < 2 * BLOCK_BYTES or len(payload) % BLOCK_BYTES:
            raise Malformed("no whole blocks")
        cipher = Cipher(AES(self.hides), CBC(payload[:BLOCK_BYTES])).decryptor()
        shown = cipher.update(payload[BLOCK_BYTES:]) + cipher.finalize()
        padding = shown[-1]
        message, pad = shown[: len(shown) - padding - 1], shown[len(shown) - padding - 1 : -1]
        if padding >= BLOCK_BYTES or pad != bytes(range(1, padding + 1)):
            raise Malformed("padding that is none")
        return message

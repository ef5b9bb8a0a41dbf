"""Keys made from the service account key, and the sealing of secrets that stand in Redis.

BMC logins and the join configuration are in the mirror only as AES-GCM boxes. Without a service account key the
root is a random secret in the state directory, made once.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.settings import Settings

_NONCE_BYTES = 12
_KEY_BYTES = 32


class SealBroken(Exception):
    """A box was sealed with another key or changed; what was in it must be fetched anew."""


class Sealer:
    """Seals and opens the secrets of one provider."""

    def __init__(self, key: bytes) -> None:
        self._box = AESGCM(key)

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt; `place` (machine and kind) must be the same when it is opened."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._box.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt. Raises SealBroken."""
        try:
            return self._box.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        except InvalidTag:
            raise SealBroken(f"the sealed value of {place} was made with another key") from None


def sealer(settings: Settings) -> Sealer:
    """The sealer that every process of this provider shares."""
    return Sealer(_derive(settings, b"omni-metal mirror"))


def gateway_token(settings: Settings) -> str:
    """What a worker shows to the gateway's internal listener."""
    return _derive(settings, b"omni-metal gateway").hex()


def page_key(settings: Settings) -> bytes:
    """What the sessions of the pages are signed with."""
    return _derive(settings, b"omni-metal pages")


def kept_secret(path: Path, size_bytes: int) -> str:
    """The random text in this file, which is made when it is missing. Two processes that do so at once get the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(size_bytes))
        try:
            os.link(draft, path)  # fails where another process was first, and leaves its secret alone
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def _derive(settings: Settings, purpose: bytes) -> bytes:
    root = settings.service_account_key or kept_secret(settings.state_dir / "secret", _KEY_BYTES)
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt=settings.id.encode(), info=purpose).derive(root.encode())

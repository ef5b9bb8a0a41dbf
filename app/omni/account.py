"""The service account that calls Omni: read from OMNI_SERVICE_ACCOUNT_KEY, it signs each call.

    account = load_account(settings.service_account_key)
    metadata = account.sign("/cosi.resource.State/Get")

The text of the key is in no message.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.errors import StartError
from app.omni.key import Key, KeyUnusable, read_key
from app.omni.signature import signed_headers

VARIABLE = "OMNI_SERVICE_ACCOUNT_KEY"
PROVIDER_PREFIX = "infra-provider:"
PROVIDER_DOMAIN = "infra-provider.serviceaccount.omni.sidero.dev"
DOMAIN = "serviceaccount.omni.sidero.dev"

COPY = "copy it anew, whole and on one line, as `omnictl` printed it"
MAKE = "make another with `omnictl infraprovider renewkey ID`"


class KeyInvalid(StartError):
    """The service account key cannot be used. `reason` says why and what to do, without naming the variable."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{VARIABLE}: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who calls Omni, and with which key."""

    name: str
    key: Key = field(repr=False)

    @property
    def identity(self) -> str:
        """The account's name as Omni writes it."""
        if self.name.startswith(PROVIDER_PREFIX):
            return f"{self.name.removeprefix(PROVIDER_PREFIX)}@{PROVIDER_DOMAIN}"
        return f"{self.name}@{DOMAIN}"

    @property
    def provider_id(self) -> str:
        """The provider whose account it is; '' where the name does not say."""
        return self.name.removeprefix(PROVIDER_PREFIX) if self.name.startswith(PROVIDER_PREFIX) else ""

    @property
    def fingerprint(self) -> str:
        """The name of the key, also in Omni; it is public."""
        return self.key.fingerprint.hex()

    @property
    def created_at(self) -> datetime:
        """When the key was made."""
        return datetime.fromtimestamp(self.key.created_s, UTC)

    @property
    def expires_at(self) -> datetime | None:
        """Until when the key is good; None: for ever."""
        return None if self.key.expires_s is None else datetime.fromtimestamp(self.key.expires_s, UTC)

    def sign(self, method: str, now_s: float | None = None) -> tuple[tuple[str, str], ...]:
        """The metadata for one call of `method` (`/cosi.resource.State/Get`), made now."""
        now_s = time.time() if now_s is None else now_s
        # Omni refuses a signature that is older than its key. A clock that lags a little behind makes such ones while
        # the key is brand-new.
        return signed_headers(self.key, self.identity, method, max(int(now_s), self.key.created_s))


def load_account(text: str, now_s: float | None = None) -> ServiceAccount:
    """The account in the text of OMNI_SERVICE_ACCOUNT_KEY, at the start of the program.

    Args:
        text: the value of the variable.
        now_s: seconds since 1970; without, it is now.

    Raises:
        KeyInvalid: it is no such text, or its key cannot be used, or not any more.
    """
    account = read_account(text)
    expires_at = account.expires_at
    if expires_at is not None and expires_at.timestamp() <= (time.time() if now_s is None else now_s):
        raise KeyInvalid(f"the key in it expired at {expires_at:%Y-%m-%d %H:%M} UTC; {MAKE}")
    return account


def read_account(text: str) -> ServiceAccount:
    """The account in base64 of JSON with `name` and `pgp_key`, expired or not.

    A process that is started again must come up although the key has expired since: boots go on without Omni, which
    says itself what it refuses.

    Raises:
        KeyInvalid: it is no such text, or its key cannot be used.
    """
    content = _content(text)
    name, armored = _text_of(content, "name"), _text_of(content, "pgp_key")
    try:
        return ServiceAccount(name, read_key(armored))
    except KeyUnusable as error:
        raise KeyInvalid(f"the key in it {error}; {MAKE}") from None


def _content(text: str) -> dict[str, Any]:
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise KeyInvalid(f"is not base64; {COPY}") from None
    try:
        content = json.loads(decoded)
    except (ValueError, RecursionError):
        raise KeyInvalid(f"is base64, but not of JSON; {COPY}") from None
    if not isinstance(content, dict):
        raise KeyInvalid(f"is base64 of JSON, but not of an object with `name` and `pgp_key`; {COPY}")
    return content


def _text_of(content: dict[str, Any], member: str) -> str:
    value = content.get(member)
    if not isinstance(value, str) or not value.strip():
        raise KeyInvalid(f"has no `{member}`; {COPY}")
    return value

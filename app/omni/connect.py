"""The one place where a client of Omni is made of the settings: endpoint, trust and signer."""

from __future__ import annotations

from app.omni.account import read_account
from app.omni.client import CALL_TIMEOUT_S, Omni
from config.settings import Settings


def connect_omni(settings: Settings, timeout_s: float = CALL_TIMEOUT_S) -> Omni:
    """A client; it connects with its first call. Each call may take `timeout_s`. Raises KeyInvalid, EndpointInvalid."""
    account = read_account(settings.service_account_key) if settings.service_account_key else None
    expires_at = account.expires_at if account else None
    return Omni(
        settings.omni_api_endpoint,
        settings.id,
        timeout_s=timeout_s,
        signer=account.sign if account else None,
        skip_verify=settings.insecure_skip_tls_verify,
        key_ends_s=expires_at.timestamp() if expires_at else None,
    )

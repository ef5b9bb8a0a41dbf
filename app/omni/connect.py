"""The one place where a client of Omni is made of the settings: endpoint, trust and signer."""

from __future__ import annotations

from app.omni.account import read_account
from app.omni.channel import Signer
from app.omni.client import Omni
from config.settings import Settings


def connect_omni(settings: Settings) -> Omni:
    """A client; it connects with its first call. Raises KeyInvalid, EndpointInvalid."""
    return Omni(
        settings.omni_api_endpoint,
        settings.id,
        signer=signer_of(settings),
        skip_verify=settings.insecure_skip_tls_verify,
    )


def signer_of(settings: Settings) -> Signer | None:
    """What signs the calls; None without a service account key."""
    return read_account(settings.service_account_key).sign if settings.service_account_key else None

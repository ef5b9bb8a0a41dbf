"""What is checked of the settings beyond the options themselves, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from app.boot.extra import check_extra
from app.omni.account import KeyInvalid, load_account
from app.tls.files import check_files
from config.settings import Settings

CHECKED: Final = "OMNI_METAL_CHECKED"
"""The environment variable by which `run` tells its children that it has done this."""

KEY: Final = "service-account-key"


def problems(settings: Settings) -> Iterator[tuple[str, str]]:
    """The name of an option with what is wrong with it and the remedy, for each such."""
    yield from _check_key(settings)


def problems_of_serving(settings: Settings) -> Iterator[tuple[str, str]]:
    """The same, with what only a process that serves machines must have: files need not be where workers run."""
    yield from problems(settings)
    yield from check_files(settings, datetime.now(UTC))
    yield from check_extra(settings)


def _check_key(settings: Settings) -> Iterator[tuple[str, str]]:
    if not settings.service_account_key:
        if settings.omni_api_endpoint.lower().startswith("https://"):
            yield KEY, "is required for an https:// endpoint; set it to what `omnictl infraprovider create ID` printed"
        return
    try:
        account = load_account(settings.service_account_key)
    except KeyInvalid as error:
        yield KEY, error.reason
        return
    if account.provider_id not in ("", settings.id):
        yield (
            KEY,
            f"is the key of the provider {account.provider_id!r}, but --id is {settings.id!r}; make both the same",
        )

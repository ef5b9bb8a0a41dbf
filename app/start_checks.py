"""What is checked of the settings beyond the options themselves, before anything is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from app.boot.assets import check_assets
from app.boot.extra import check_extra
from app.boot.ipxe.authority import check_ipxe_ca
from app.omni.account import KeyInvalid, ServiceAccount, load_account, read_account
from app.tls.files import check_files
from config.settings import Settings

CHECKED: Final = "OMNI_METAL_CHECKED"
"""The environment variable by which `run` tells its children that it has done this."""

KEY: Final = "service-account-key"
# These go on while Omni refuses the provider: firmware and agents need them.
WITHOUT_OMNI: Final = ("gateway", "beat", "flower")

Check = Callable[[Settings], Iterator[tuple[str, str]]]


def checks_of(process: str) -> Check:
    """What a process of this name must have."""
    others = problems_without_omni if process in WITHOUT_OMNI else problems
    return {"run": problems_of_all, "web": problems_of_serving}.get(process, others)


def problems(settings: Settings) -> Iterator[tuple[str, str]]:
    """The name of an option with what is wrong with it and the remedy, for each such."""
    yield from _check_key(settings, load_account)


def problems_without_omni(settings: Settings) -> Iterator[tuple[str, str]]:
    """The same for a process that asks nothing of Omni: it goes on with a key that has expired, as boots do."""
    yield from _check_key(settings, read_account)


def problems_of_serving(settings: Settings) -> Iterator[tuple[str, str]]:
    """The same, with what only a process that serves machines must have: files need not be where workers run."""
    yield from problems_without_omni(settings)
    yield from _files(settings)


def problems_of_all(settings: Settings) -> Iterator[tuple[str, str]]:
    """All that any process must have."""
    yield from problems(settings)
    yield from _files(settings)


def _files(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from check_files(settings, datetime.now(UTC))
    yield from check_extra(settings)
    yield from check_assets(settings)
    yield from check_ipxe_ca(settings, datetime.now(UTC))


def _check_key(settings: Settings, read: Callable[[str], ServiceAccount]) -> Iterator[tuple[str, str]]:
    if not settings.service_account_key:
        if settings.omni_api_endpoint.lower().startswith("https://"):
            yield KEY, "is required for an https:// endpoint; set it to what `omnictl infraprovider create ID` printed"
        return
    try:
        account = read(settings.service_account_key)
    except KeyInvalid as error:
        yield KEY, error.reason
        return
    if account.provider_id not in ("", settings.id):
        yield (
            KEY,
            f"is the key of the provider {account.provider_id!r}, but --id is {settings.id!r}; make both the same",
        )

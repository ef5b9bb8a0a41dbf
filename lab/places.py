"""Where a person finds the pages and the Flower of the lab's provider, and how to get in."""

from __future__ import annotations

from collections.abc import Sequence

from app.flower_access import FLOWER_USER, flower_address, password_file
from config.settings import SettingsError, load


def pages_place(url: str, options: Sequence[str]) -> str:
    """Address and login, from the options of the provider; the address alone where it does not start with these."""
    try:
        token = load(options, {}, client=True).api_token
    except SettingsError:
        return f"{url}/"
    return f"{url}/, token as given" if token else f"{url}/, no login from this host"


def flower_place(options: Sequence[str]) -> str:
    """Address and login, from the options of the provider; empty where it starts none."""
    try:
        settings = load(options, {}, client=True)
    except SettingsError:
        return ""  # the provider will not start, and says why
    if settings.disable_flower:
        return ""
    password = "as given" if settings.flower_password else f"in {password_file(settings.state_dir)}"
    return f"{flower_address(settings)}, user {FLOWER_USER}, password {password}"

"""How a person gets to Flower: its address, the user and the password."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from app.errors import StartError
from app.state.secrets import kept_secret
from config.addresses import bracketed, is_wildcard, split_address
from config.settings import Settings

FLOWER_USER: Final = "admin"
PASSWORD_BYTES: Final = 12


def password_file(state_dir: Path) -> Path:
    """Where the password is kept that was made because none was given."""
    return state_dir / "flower-password"


def flower_password(settings: Settings) -> str:
    """The password that was given, or else the kept one, which is made when it is missing. Raises StartError."""
    if settings.flower_password:
        return settings.flower_password
    path = password_file(settings.state_dir)
    try:
        kept = kept_secret(path, PASSWORD_BYTES)
    except OSError as error:
        raise StartError(f"{path} cannot be read or made ({error.strerror}); set --flower-password") from None
    if not kept:
        raise StartError(f"{path} is empty; write a password into it, or remove it to have one made")
    return kept


def flower_address(settings: Settings) -> str:
    """Where a browser finds Flower: where it listens, or our advertised address where that is everywhere."""
    host, port = split_address(settings.flower_listen)
    return f"http://{bracketed(settings.api_advertise_address if is_wildcard(host) else host)}:{port}"

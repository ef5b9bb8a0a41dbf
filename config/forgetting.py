"""Have a process know no secret: one that takes what anybody on the network sends, and needs none."""

from __future__ import annotations

import ctypes
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib import parse

from config.defaults import default_value
from config.options import OPTIONS

if TYPE_CHECKING:
    from config.settings import Settings

SECRETS: Final = tuple(option for option in OPTIONS.values() if option.secret)
SECRET_VARIABLES: Final = frozenset(option.variable for option in SECRETS)
"""The environment variables that hold them."""


def without_secrets(settings: Settings) -> Settings:
    """The same settings with the default of each secret."""
    return replace(settings, **{option.attribute: default_value(option.name) for option in SECRETS})  # type: ignore[arg-type]


def forget_secrets() -> None:
    """Take the secrets out of the environment of this process, and out of all that was read with settings."""
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    for variable in SECRET_VARIABLES & os.environ.keys():
        # Taken out, a variable still stands where the program that started us has put it.
        ctypes.memset(getenv(variable.encode()), 0, len(os.environb[variable.encode()]))
        del os.environ[variable]
    parse.clear_cache()  # type: ignore[attr-defined] # it keeps the URLs that were looked at, with their passwords

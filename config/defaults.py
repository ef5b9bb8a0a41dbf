"""The defaults of the options table, typed, for the declaration of `Settings`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from config.options import OPTIONS
from config.values import Network, parse_value


def default_value(name: str) -> object:
    """Return the default of an option, read as a given value would be."""
    option = OPTIONS[name]
    return parse_value(option, option.default)


def text(name: str) -> str:
    """Return the default of an option that is a text."""
    return cast("str", default_value(name))


def switch(name: str) -> bool:
    """Return the default of an option that is true or false."""
    return cast("bool", default_value(name))


def number(name: str) -> int:
    """Return the default of an option that is a whole number."""
    return cast("int", default_value(name))


def seconds(name: str) -> float:
    """Return the default of an option that is a duration."""
    return cast("float", default_value(name))


def path(name: str) -> Path | None:
    """Return the default of an option that is a path; None where there is none."""
    return cast("Path | None", default_value(name))


def labels(name: str) -> Mapping[str, str]:
    """Return the default of an option that is a set of labels."""
    return cast("Mapping[str, str]", default_value(name))


def networks(name: str) -> tuple[Network, ...]:
    """Return the default of an option that is a list of networks."""
    return cast("tuple[Network, ...]", default_value(name))

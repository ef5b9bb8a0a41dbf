"""Read the single values of a picture: strict about types, lenient about how enums and numbers are written.

Each reader takes a value and where it stands, and raises PictureInvalid naming both.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from app.machine.errors import PictureInvalid

Reader = Callable[[Any, str], Any]
E = TypeVar("E", bound=enum.IntEnum)

# Prefixes with which enums of Omni and of our records are written.
_ENUM_PREFIXES = ("", "POWER_STATE_", "PREFERRED_POWER_STATE_", "MACHINE_POWER_STATE_", "ACCEPTANCE_STATUS_")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LONGEST_SHOWN = 60


def fail(where: str, expected: str, value: Any) -> PictureInvalid:
    """The error of a value that is not what is expected."""
    if isinstance(value, dict | list):
        shown = "an object" if isinstance(value, dict) else "a list"
    else:
        shown = json.dumps(value)
        shown = shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "..."
    return PictureInvalid(f"{where}: {expected} is expected, not {shown}")


def read_object(value: Any, where: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """An object of known keys; the answer holds those that are there."""
    if type(value) is not dict:
        raise fail(where or "the line", "an object", value)
    found = {}
    for key, content in value.items():
        reader = readers.get(key)
        place = f"{where}.{key}" if where else key
        if reader is None:
            raise PictureInvalid(f"{place}: unknown key; there are {', '.join(readers)}")
        found[key] = reader(content, place)
    return found


def text(value: Any, where: str) -> str:
    """A text."""
    if type(value) is not str:
        raise fail(where, "a text", value)
    return value


def secret(value: Any, where: str) -> str:
    """A text that is never shown, nor is what stands in its place."""
    if type(value) is not str:
        raise PictureInvalid(f"{where}: a text is expected")
    return value


def flag(value: Any, where: str) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise fail(where, "true or false", value)
    return value


def flag_or_null(value: Any, where: str) -> bool | None:
    """True, false, or null for not known."""
    return None if value is None else flag(value, where)


def whole_number(bits: int) -> Reader:
    """An unsigned number of so many bits, also as a text of digits."""
    limit = 2**bits

    def read(value: Any, where: str) -> int:
        number = value
        if type(value) is str and value.isascii() and value.isdigit() and len(value) <= len(str(limit)):
            number = int(value)
        if type(number) is not int or not 0 <= number < limit:
            raise fail(where, f"a whole number from 0 to {limit - 1}", value)
        return number

    return read


def seconds(value: Any, where: str) -> float:
    """A length of time."""
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise fail(where, "a number of seconds from 0", value)
    try:
        return float(value)
    except OverflowError:
        raise fail(where, "a number of seconds from 0", value) from None


def choice(*values: str) -> Reader:
    """One of these texts."""

    def read(value: Any, where: str) -> str:
        if type(value) is not str or value not in values:
            raise fail(where, " or ".join(values), value)
        return value

    return read


def enum_of(kind: type[E]) -> Reader:
    """A member by name, with or without a prefix, or by number."""
    members = {prefix + member.name: member for member in kind for prefix in _ENUM_PREFIXES}
    numbers = {member.value: member for member in kind}

    def read(value: Any, where: str) -> E:
        found = None
        if type(value) is str:
            found = members.get(value)
        elif type(value) is int:
            found = numbers.get(value)
        if found is None:
            expected = " or ".join(f"{m.name} ({m.value})" for m in kind)
            raise fail(where, expected, value)
        return found

    return read


def timestamp(value: Any, where: str) -> datetime:
    """A moment as RFC 3339 writes it; what is finer than a microsecond is dropped."""
    match = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        raise fail(where, "a time such as 2026-11-22T10:00:00Z", value)
    day, clock, fraction, zone = match.groups()
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{micros}{zone.upper()}")
    except ValueError:
        raise fail(where, "a time that exists", value) from None


def timestamp_or_null(value: Any, where: str) -> datetime | None:
    """A moment, or null where it is unset."""
    return None if value is None else timestamp(value, where)


def texts(value: Any, where: str) -> tuple[str, ...]:
    """A list of texts."""
    if type(value) is not list:
        raise fail(where, "a list of texts", value)
    return tuple(text(item, f"{where}[{index}]") for index, item in enumerate(value))


def labels(value: Any, where: str) -> dict[str, str]:
    """Texts by name."""
    if type(value) is not dict:
        raise fail(where, "an object of texts", value)
    return {key: text(content, f"{where}.{key}") for key, content in value.items()}

"""Read the value of one option, given as text or as YAML has it.

Every ValueError is a sentence for the operator: what is wrong and what to write instead. It never holds the value,
which may be a secret; whoever shows the message adds it where that is allowed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

from config.durations import parse_duration
from config.options import Kind, Option

TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
VERSION: Final = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", re.ASCII)
WHOLE_NUMBER: Final = re.compile(r"[+-]?\d{1,12}", re.ASCII)
LARGEST_PORT: Final = 65535
RESERVED_LABELS: Final = "omni.sidero.dev/"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_value(option: Option, raw: object) -> object:
    """Return the value of `option`, checked.

    Raises:
        ValueError: with the reason and the remedy, in words.
    """
    return PARSERS[option.kind](option, raw)


def _text(raw: object) -> str:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise ValueError("must be a single text")  # noqa: TRY004 - one error class for every wrong value
    text = str(raw)
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


def _parse_text(_option: Option, raw: object) -> str:
    return _text(raw)


def _parse_name(_option: Option, raw: object) -> str:
    text = _text(raw)
    if not NAME.fullmatch(text):
        raise ValueError("Omni wants lower-case letters, digits and '-', beginning and ending with a letter or digit")
    return text


def _parse_switch(_option: Option, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    text = _text(raw)
    if text not in TRUE | FALSE:
        raise ValueError("must be true or false")
    return text in TRUE


def _parse_number(option: Option, raw: object) -> int:
    text = _text(raw)
    if not WHOLE_NUMBER.fullmatch(text):
        raise ValueError("must be a whole number")
    if option.minimum and int(text) < int(option.minimum):
        raise ValueError(f"must be {option.minimum} or more")
    return int(text)


def _parse_port(_option: Option, raw: object) -> int:
    text = _text(raw)
    if not WHOLE_NUMBER.fullmatch(text) or not 1 <= int(text) <= LARGEST_PORT:
        raise ValueError(f"must be a port, 1 to {LARGEST_PORT}")
    return int(text)


def _parse_duration(option: Option, raw: object) -> float:
    try:
        seconds = parse_duration(_text(raw))
    except ValueError:
        raise ValueError("must be a duration with its unit, such as 30s, 15m or 1h30m") from None
    if option.minimum and seconds < parse_duration(option.minimum):
        raise ValueError(f"must be {option.minimum} or more" if option.minimum != "0" else "must not be negative")
    if option.maximum and seconds > parse_duration(option.maximum):
        raise ValueError(f"must be {option.maximum} or less")
    return seconds


def _parse_choice(option: Option, raw: object) -> str:
    text = _text(raw)
    if text not in option.choices:
        raise ValueError(f"must be one of {', '.join(option.choices)}")
    return text


def _parse_labels(_option: Option, raw: object) -> Mapping[str, str]:
    if isinstance(raw, Mapping):
        pairs = [(_text(key), "" if value is None else _text(value)) for key, value in raw.items()]
    else:
        items = raw if isinstance(raw, list) else [part for part in _text(raw).split(",") if part.strip()]
        pairs = [(key.strip(), value.strip()) for key, _, value in (_text(item).partition("=") for item in items)]
    labels = dict(pairs)
    if "" in labels:
        raise ValueError("a label has no name; write k=v,k2,k3=v3")
    if any(key.startswith(RESERVED_LABELS) for key in labels):
        raise ValueError(f"labels that begin with {RESERVED_LABELS} are Omni's own")
    return MappingProxyType(labels)


def _parse_networks(_option: Option, raw: object) -> tuple[Network, ...]:
    items = raw if isinstance(raw, list) else [part for part in _text(raw).split(",") if part.strip()]
    try:
        return tuple(ipaddress.ip_network(_text(item).strip()) for item in items)
    except ValueError as error:
        raise ValueError(f"must be networks such as 10.1.0.0/16,fd00::/64 ({error})") from None


def _parse_path(_option: Option, raw: object) -> Path | None:
    text = _text(raw)
    return Path(text).expanduser() if text else None


def _parse_url(_option: Option, raw: object) -> str:
    return _checked_url(_text(raw), ("http", "https"))


def _parse_omni_url(_option: Option, raw: object) -> str:
    text = _checked_url(_text(raw), ("https", "http", "grpc"))
    if text and _split(text).path:
        raise ValueError("must be https://HOST[:PORT] or http://HOST[:PORT], without a path")
    return text


def _checked_url(text: str, schemes: tuple[str, ...]) -> str:
    if not text:
        return ""
    parts = _split(text)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"must be a URL such as {schemes[0]}://host:port")
    if parts.username is not None or parts.query or parts.fragment or " " in text:
        raise ValueError("must be a URL without login, query and spaces")
    return text.rstrip("/")


def _parse_redis_url(_option: Option, raw: object) -> str:
    text = _text(raw)
    parts = _split(text)
    if parts.scheme not in ("redis", "rediss", "unix") or not (parts.hostname or parts.path):
        raise ValueError("must be redis://HOST:PORT/NUMBER, rediss://… or unix:///PATH")
    return text


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # checked only when it is asked for
    except ValueError:
        raise ValueError("is no URL") from None
    return parts


def _parse_host(_option: Option, raw: object) -> str:
    text = _text(raw)
    if text and not _is_host(text):
        raise ValueError("must be an address or a host name, without scheme and port")
    return text


def _parse_host_port(_option: Option, raw: object) -> str:
    text = _text(raw)
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not colon or not _is_host(host) or not port.isdecimal() or not 1 <= int(port) <= LARGEST_PORT:
        raise ValueError("must be ADDRESS:PORT")
    return text


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(HOST_NAME.fullmatch(text)) and not re.fullmatch(r"[0-9.]+", text)
    return True


def _parse_version(_option: Option, raw: object) -> str:
    text = _text(raw)
    if not VERSION.fullmatch(text):
        raise ValueError("must be a Talos version such as v1.13.7")
    return text


PARSERS: Final[Mapping[Kind, Callable[[Option, object], object]]] = {
    Kind.TEXT: _parse_text,
    Kind.NAME: _parse_name,
    Kind.SWITCH: _parse_switch,
    Kind.NUMBER: _parse_number,
    Kind.PORT: _parse_port,
    Kind.DURATION: _parse_duration,
    Kind.CHOICE: _parse_choice,
    Kind.LABELS: _parse_labels,
    Kind.NETWORKS: _parse_networks,
    Kind.PATH: _parse_path,
    Kind.URL: _parse_url,
    Kind.OMNI_URL: _parse_omni_url,
    Kind.REDIS_URL: _parse_redis_url,
    Kind.HOST: _parse_host,
    Kind.HOST_PORT: _parse_host_port,
    Kind.VERSION: _parse_version,
}

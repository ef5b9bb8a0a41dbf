"""The options that the active watcher decides by, for whoever shows, retries or orders what it decides."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Final

import redis

from app.machine.model import DecideOptions
from config.settings import Settings

DECIDING: Final = "om:deciding"
LIMITS: Final = "om:limits"
_LIMITS: Final = ("max_concurrent_wipes", "max_power_ons_per_minute")


def decide_options(settings: Settings) -> DecideOptions:
    """The options of this process that decisions depend on."""
    return DecideOptions(settings.min_reboot_interval_s, settings.ipmi_pxe_boot_mode)


def publish_options(client: redis.Redis, settings: Settings) -> None:
    """The active watcher decides by these, and begins no more than these limits let it."""
    limits = {name: getattr(settings, name) for name in _LIMITS}
    client.mset({DECIDING: json.dumps(asdict(decide_options(settings))), LIMITS: json.dumps(limits)})


def published_options(client: redis.Redis, fallback: DecideOptions) -> DecideOptions:
    """The watcher's options; `fallback` where none has said yet. Raises `redis.RedisError`."""
    text = client.get(DECIDING)
    if text is None:
        return fallback
    try:
        return DecideOptions(**json.loads(text))
    except (ValueError, TypeError):  # of another version
        return fallback


def with_published_limits(client: redis.Redis, settings: Settings) -> Settings:
    """The settings with the watcher's limits: a person's shell has its own. Raises `redis.RedisError`."""
    text = client.get(LIMITS)
    try:
        wipes, power_ons = (int(json.loads(text or b"{}")[name]) for name in _LIMITS)
    except (ValueError, TypeError, KeyError):  # none has said yet, or one of another version
        return settings
    return replace(settings, max_concurrent_wipes=wipes, max_power_ons_per_minute=power_ons)

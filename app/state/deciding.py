"""The options that the active watcher decides by, for whoever shows or retries what it decided."""

from __future__ import annotations

import json
from dataclasses import asdict

import redis

from app.machine.model import DecideOptions
from config.settings import Settings

DECIDING = "om:deciding"


def decide_options(settings: Settings) -> DecideOptions:
    """The options of this process that decisions depend on."""
    return DecideOptions(settings.min_reboot_interval_s, settings.ipmi_pxe_boot_mode)


def publish_options(client: redis.Redis, options: DecideOptions) -> None:
    """The active watcher decides by these."""
    client.set(DECIDING, json.dumps(asdict(options)))


def published_options(client: redis.Redis, fallback: DecideOptions) -> DecideOptions:
    """The watcher's options; `fallback` where none has said yet. Raises `redis.RedisError`."""
    text = client.get(DECIDING)
    if text is None:
        return fallback
    try:
        return DecideOptions(**json.loads(text))
    except (ValueError, TypeError):  # of another version
        return fallback

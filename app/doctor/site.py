"""What the checks look at: the settings, and clients of what they name. Nothing is made or written."""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.bundled_redis import socket_path
from app.doctor.own import run_of
from app.omni.client import Omni
from app.omni.connect import connect_omni
from config.paths import run_dir_path
from config.settings import Settings, Wrong

# A Redis that is up answers in milliseconds, an Omni in less than a second; the whole must end within half a minute.
REDIS_TIMEOUT_S = 3.0
OMNI_TIMEOUT_S = 5.0
# All processes start at once, and on slow cores some take long; Omni is told of none that is missing before, either.
STARTING_S = 30.0


@dataclass(frozen=True)
class Site:
    """The provider of these settings, running or not.

    wrong: what is wrong with them; the options that it names have their default in `settings`.
    """

    settings: Settings
    wrong: tuple[Wrong, ...] = ()
    wrong_options: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wrong_options", frozenset(wrong.option for wrong in self.wrong if wrong.option))

    @property
    def bundled(self) -> bool:
        """Whether `omni-metal run` starts a Redis of its own."""
        return "redis-url" not in self.settings.given

    @property
    def redis_url(self) -> str:
        """The Redis to use; the bundled one's socket need not be there."""
        return f"unix://{self.redis_socket}" if self.bundled else self.settings.redis_url

    @property
    def redis_socket(self) -> Path:
        """Where the bundled Redis listens."""
        return socket_path(run_dir_path(self.settings.state_dir))

    @cached_property
    def redis(self) -> redis.Redis:
        """A client that connects with its first command, and tries nothing twice."""
        return redis.Redis.from_url(
            self.redis_url,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )

    @cached_property
    def omni(self) -> Omni:
        """A client of Omni. Raises KeyInvalid, EndpointInvalid."""
        return connect_omni(self.settings, OMNI_TIMEOUT_S)

    @property
    def run_process(self) -> int | None:
        """The process of the `omni-metal run` that uses the state directory; None: none does."""
        return run_of(self.settings.state_dir)

    @property
    def just_started(self) -> bool:
        """Whether that one is so young that its processes need not be there yet."""
        return self.run_process is not None and age_s(self.settings.state_dir / "lock") < STARTING_S

    def close(self) -> None:
        """Close the clients that were made."""
        for name in ("redis", "omni"):
            client = self.__dict__.get(name)
            if client is not None:
                with contextlib.suppress(redis.RedisError, OSError):
                    client.close()


def age_s(path: Path) -> float:
    """Since when a file has not been written to, in seconds; without end where there is none."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return math.inf


def may_be_written(path: Path) -> bool:
    """Whether a folder can be written to, or made where it is missing. Nothing is tried."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)

"""Tell Omni who we are and that we are alive, and find out whether another provider runs under our id."""

from __future__ import annotations

import base64
import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import redis
import structlog

import app
from app.omni.client import Omni
from app.omni.errors import AccountRefused, OmniError, OmniUnavailable
from app.omni.kinds import Kind
from app.omni.resource import Resource
from app.state.connection import as_bytes
from app.state.metrics import QUEUES
from app.state.mirror import Mirror
from app.state.parts import parts_down
from app.watcher.join import JoinKeeper
from app.watcher.problem import Problem, fault, redis_away
from config.settings import Settings

log = structlog.get_logger()

STATIC_LABEL = "omni.sidero.dev/is-static-infra-provider"
INSTALLATION = "omni-metal/installation"
# Another program keeps our annotations when it writes its own heartbeat, but not in step with it.
HEARTBEAT = "omni-metal/heartbeat"
INSTALLATION_KEY = "om:installation"
# Omni shows a provider as gone after 31 s without a heartbeat; one may be lost.
HEARTBEAT_EVERY_S = 20.0
# Two heartbeats of the Go provider, which sends one every 30 s, less what clocks may differ.
OTHER_ALIVE_S = 45.0
HEARTBEAT_RETRY_S = 2.0
# All processes start at once, and some take longer.
STARTING_S = 30.0


class Provider:
    """Our status and heartbeat in Omni."""

    def __init__(self, settings: Settings, client: redis.Redis, omni: Omni, mirror: Mirror) -> None:
        self._settings, self._redis, self._omni = settings, client, omni
        self._join = JoinKeeper(settings.id, omni, mirror)
        self._quiet_until_s = 0.0
        self._installation = ""
        self._stop, self._due = threading.Event(), threading.Event()
        self._failure: Exception | None = None

    def other_alive(self) -> Problem | None:
        """Another provider runs under our id. Raises OmniError, redis.RedisError."""
        health = self._omni.get(Kind.PROVIDER_HEALTH_STATUS, self._settings.id)
        age_s = heartbeat_of_another_s(health, self.installation, datetime.now(UTC))
        if age_s is None or self._settings.force_takeover:
            return None
        words = f"another provider runs under the id {self._settings.id!r}: its heartbeat is {max(age_s, 0):.0f} s old"
        remedy = f"Stop the other one: nothing is done until that is {OTHER_ALIVE_S:g} s old; or use --force-takeover."
        return Problem("another-provider", words, remedy)

    def announce(self) -> None:
        """Write our provider status and take over the join configuration. Raises OmniError."""
        settings = self._settings
        icon = base64.b64encode(files("app.watcher").joinpath("icon.svg").read_bytes()).decode().rstrip("=")

        def edit(draft: Any) -> None:
            draft.spec.name, draft.spec.description = settings.provider_name, settings.provider_description
            draft.spec.icon, draft.spec.version = icon, app.__version__
            draft.labels[STATIC_LABEL] = ""

        self._omni.update(Kind.PROVIDER_STATUS, settings.id, edit, create=True)
        self.refresh_join_config()

    def refresh_join_config(self) -> None:
        """Keep the machine configuration for `/config`. Raises OmniUnavailable, redis.RedisError."""
        self._join.refresh()

    def installation(self) -> str:
        """The random name of this installation, kept in Redis and the state directory, each restored by the other."""
        if not self._installation:
            path = self._settings.state_dir / "installation"
            stored = self._redis.get(INSTALLATION_KEY)
            name = as_bytes(stored).decode() if stored else _read(path) or secrets.token_hex(16)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(name)
            except OSError as error:
                log.warning("installation_not_stored", path=str(path), error=type(error).__name__)
            self._installation = name
        self._redis.set(INSTALLATION_KEY, self._installation)
        return self._installation

    def beat(self) -> None:
        """One heartbeat, which tells what is down. Raises OmniError, and redis.RedisError before the first one."""
        try:
            installation, error = self.installation(), self._trouble()
        except redis.RedisError as away:
            if not self._installation:
                raise
            installation, error = self._installation, f"Redis does not answer ({type(away).__name__})"

        def edit(draft: Any) -> None:
            draft.spec.last_heartbeat_timestamp.GetCurrentTime()
            draft.spec.error = error
            draft.annotations[INSTALLATION] = installation
            draft.annotations[HEARTBEAT] = draft.spec.last_heartbeat_timestamp.ToJsonString()

        self._omni.update(Kind.PROVIDER_HEALTH_STATUS, self._settings.id, edit, create=True)

    def keep_beating(self) -> None:
        """Send heartbeats in a thread of its own until `stop()`."""
        self._stop.clear()
        self._quiet_until_s = time.monotonic() + STARTING_S
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        """End the heartbeats; Omni keeps the last one."""
        self._stop.set()
        self._due.set()

    def beat_now(self) -> None:
        """Do not wait for the next heartbeat's time: something has gone down."""
        self._due.set()

    @property
    def problem(self) -> Problem | None:
        """Why the last heartbeat failed."""
        failure = self._failure
        if failure is None:
            return None
        if isinstance(failure, OmniError):
            return Problem.of(failure)
        return redis_away(failure) if isinstance(failure, redis.RedisError) else fault("no heartbeat is sent", failure)

    @property
    def join_problem(self) -> Problem | None:
        """Why machines cannot join."""
        return self._join.problem

    def refused(self) -> bool:
        """Whether Omni refuses whoever asks, or does not answer: watches that are open may go on all the same."""
        return isinstance(self._failure, AccountRefused | OmniUnavailable)

    def _trouble(self) -> str:
        if time.monotonic() < self._quiet_until_s:
            return ""
        joining = [self._join.problem.words] if self._join.problem else []
        return "; ".join([*parts_down(self._redis, QUEUES), *joining])

    def _run(self) -> None:
        while not self._stop.is_set():
            self._due.clear()
            began_s, pause_s = time.monotonic(), HEARTBEAT_EVERY_S
            try:
                self.beat()
                with contextlib.suppress(redis.RedisError):  # the loop sees that too
                    self.refresh_join_config()
                self._failure = None
            except (OmniError, redis.RedisError) as error:
                if type(error) is not type(self._failure):
                    log.warning("heartbeat_failed", error=str(error))
                self._failure = error
                pause_s = HEARTBEAT_RETRY_S
            except Exception as error:  # the outer edge: Omni would show us as gone if this thread ended
                if self._failure is None:
                    log.exception("heartbeat_broke")
                self._failure = error
            if not self._stop.is_set():
                self._due.wait(max(0.0, pause_s - (time.monotonic() - began_s)))


def heartbeat_of_another_s(health: Resource | None, installation: Callable[[], str], now: datetime) -> float | None:
    """How old the heartbeat is of another provider that runs under our id, in seconds; None: none runs.

    Args:
        health: the health status in Omni.
        installation: gives the name of this installation.
        now: the time.
    """
    if health is None:
        return None
    stamp = health.spec.last_heartbeat_timestamp
    try:
        beat, written = stamp.ToDatetime(tzinfo=UTC), stamp.ToJsonString()
    except ValueError:
        return None  # no time at all, so nobody's lately
    if health.annotations.get(INSTALLATION) == installation() and health.annotations.get(HEARTBEAT, written) == written:
        return None
    age_s = (now - beat).total_seconds()
    return age_s if abs(age_s) < OTHER_ALIVE_S else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

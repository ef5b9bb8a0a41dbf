"""How the watcher stands with Omni: what is wrong is logged when it changes, and noted for `/readyz` and the pages."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

import redis
import structlog

from app.state.health import WatcherHealth, note_watcher
from app.watcher.follow import Followers
from app.watcher.problem import Problem
from app.watcher.provider import Provider

log = structlog.get_logger()


class Standing:
    """Puts together what the parts of the watcher find wrong."""

    def __init__(self, client: redis.Redis, followers: Followers, provider: Provider) -> None:
        self._redis, self._followers, self._provider = client, followers, provider
        self._lock = threading.Lock()
        self._stuck: dict[str, Problem] = {}
        self._code: str | None = None

    def connected(self) -> bool:
        """Whether everything that Omni has stands in the mirror, and Omni does what we ask it to."""
        return self._followers.established() and not self._provider.refused()

    def stuck(self, machine_id: str, problem: Problem) -> None:
        """The records of a machine cannot be kept up."""
        with self._lock:
            self._stuck[machine_id] = problem

    def goes_on(self, machine_id: str) -> None:
        """They can, or need not be."""
        if machine_id in self._stuck:
            with self._lock:
                self._stuck.pop(machine_id, None)

    def only(self, machine_ids: Iterable[str]) -> None:
        """There are no other machines."""
        with self._lock:
            for machine_id in self._stuck.keys() - set(machine_ids):
                del self._stuck[machine_id]

    def tell(self, found: Problem | None, *, announced: bool, tls_problem: str) -> None:
        """Note how it is now. Raises `redis.RedisError`.

        Args:
            found: what was found wrong just now.
            announced: whether Omni knows that we are here.
            tls_problem: why agents cannot come over TLS, or ''.
        """
        problem = found or self._followers.problem() or self._provider.problem
        self._log(problem)
        problem = problem or self._provider.join_problem or self._of_a_machine()
        health = WatcherHealth(
            omni_connected=announced and self.connected(),
            problem=problem.words if problem else "",
            watch_lag_s=self._followers.lag_s(),
            compared_ago_s=self._followers.compared_ago_s(),
            tls_problem=tls_problem,
            code=problem.code if problem else "",
            remedy=problem.remedy if problem else "",
        )
        note_watcher(self._redis, health)

    def _log(self, problem: Problem | None) -> None:
        """The words of one problem differ from call to call, so its code counts."""
        code = problem.code if problem else ""
        if code == self._code:
            return
        self._code = code
        if problem:
            log.warning("omni_not_ready", code=code, problem=problem.words, remedy=problem.remedy)
        else:
            log.info("omni_ready")

    def _of_a_machine(self) -> Problem | None:
        with self._lock:
            if not self._stuck:
                return None
            first, count = next(iter(self._stuck.values())), len(self._stuck)
        machines = "1 machine" if count == 1 else f"{count} machines"
        return replace(first, words=f"Omni refuses records of {machines}: `look_failed` in the log says which, and why")

"""Keep the machine configuration with which machines join in the mirror, as Omni has it now.

Omni has it ready in our ProviderJoinConfig. An older one, without that type, has ConnectionParams of which we make it.
It is read again and again, because its token may be replaced at any time, and Redis may be emptied.
"""

from __future__ import annotations

import threading
from typing import Final

import structlog

from app.boot.connection_params import ConnectionParams, ParamsUnusable, join_documents
from app.omni.client import Omni
from app.omni.errors import OmniError, OmniUnavailable
from app.omni.kinds import Kind
from app.state.mirror import Mirror
from app.watcher.problem import Problem

log = structlog.get_logger()

PARAMS_ID: Final = "siderolink-config"
WAITS: Final = "It is looked for again each half minute; nothing has to be started again here."


class JoinKeeper:
    """Reads it. problem: why machines cannot join. Safe to use from several threads."""

    def __init__(self, provider_id: str, omni: Omni, mirror: Mirror) -> None:
        self._provider_id, self._omni, self._mirror = provider_id, omni, mirror
        self._definition = Kind.PROVIDER_JOIN_CONFIG.type(provider_id).lower()
        # Of two that read at once, the one with the older answer must not write last.
        self._guard = threading.Lock()
        self.problem: Problem | None = None

    def refresh(self) -> None:
        """Put what Omni has now into the mirror; where it has nothing any more, what stands there stays.

        Raises:
            OmniUnavailable, redis.RedisError: it was not read, or not written.
        """
        with self._guard:
            try:
                text = self._read()
            except OmniUnavailable:
                raise
            except _CannotJoin as error:
                self._complain(error.problem)
            except OmniError as error:
                self._complain(Problem.of(error).about("how machines join cannot be read"))
            else:
                self._keep(text)

    def _read(self) -> str:
        if self._omni.get(Kind.RESOURCE_DEFINITION, self._definition) is None:
            return self._of_params()
        resource = self._omni.get(Kind.PROVIDER_JOIN_CONFIG, self._provider_id)
        text: str = resource.spec.config.config if resource else ""
        if not text.strip():
            words = f"no machine can join: Omni's ProviderJoinConfig {self._provider_id!r} is "
            words += "empty" if resource else "not there"
            raise _CannotJoin(words, f"Omni makes it after `omnictl infraprovider create {self._provider_id}`. {WAITS}")
        return text

    def _of_params(self) -> str:
        resource = self._omni.get(Kind.CONNECTION_PARAMS, PARAMS_ID)
        if resource is None:
            words = "no machine can join: Omni has neither ProviderJoinConfigs nor ConnectionParams"
            raise _CannotJoin(words, f"Look into Omni's log, or update Omni. {WAITS}")
        spec = resource.spec
        params = ConnectionParams(spec.api_endpoint, spec.join_token, spec.events_port, spec.logs_port)
        try:
            return join_documents(params, self._provider_id)
        except ParamsUnusable as error:
            raise _CannotJoin(f"no machine can join: {error}", f"{error.remedy} {WAITS}") from None

    def _keep(self, text: str) -> None:
        known = self._mirror.join_config()
        if text != known:
            self._mirror.put_join_config(text)
            log.info("join_config_known" if known is None else "join_config_changed")
        self.problem = None

    def _complain(self, problem: Problem) -> None:
        if problem != self.problem:
            log.error("no_join_config", code=problem.code, problem=problem.words, remedy=problem.remedy)
        self.problem = problem


class _CannotJoin(Exception):
    """Omni has nothing with which machines could join."""

    def __init__(self, words: str, remedy: str) -> None:
        super().__init__(words)
        self.problem = Problem("no-join-config", words, remedy)

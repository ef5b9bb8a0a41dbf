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
from app.omni.kinds import Kind
from app.state.mirror import Mirror

log = structlog.get_logger()

PARAMS_ID: Final = "siderolink-config"


class JoinKeeper:
    """Reads it. problem: why machines cannot join, with the remedy, or ''. Safe to use from several threads."""

    def __init__(self, omni: Omni, mirror: Mirror) -> None:
        self._omni, self._mirror = omni, mirror
        self._definition = Kind.PROVIDER_JOIN_CONFIG.type(omni.provider_id).lower()
        # Of two that read at once, the one with the older answer must not write last.
        self._guard = threading.Lock()
        self.problem = ""

    def refresh(self) -> None:
        """Put Omni's present one into the mirror; the one before stays where there is none any more.

        Raises:
            OmniError, redis.RedisError: it was not read, or not written.
        """
        with self._guard:
            try:
                text = self._read()
            except Unusable as error:
                self._complain(str(error))
                return
            self.problem = ""
            known = self._mirror.join_config()
            if text != known:
                self._mirror.put_join_config(text)
                log.info("join_config_known" if known is None else "join_config_changed")

    def _read(self) -> str:
        if self._omni.get(Kind.RESOURCE_DEFINITION, self._definition) is None:
            return self._of_params()
        provider_id = self._omni.provider_id
        resource = self._omni.get(Kind.PROVIDER_JOIN_CONFIG, provider_id)
        if resource is None:
            raise Unusable(
                f"Omni has no ProviderJoinConfig {provider_id!r}, so no machine can join. Omni makes it soon after "
                f"`omnictl infraprovider create {provider_id}`; where this stays, look into Omni's log"
            )
        text: str = resource.spec.config.config
        if not text.strip():
            raise Unusable(
                f"Omni's ProviderJoinConfig {provider_id!r} is empty, so no machine can join; look into Omni's log"
            )
        return text

    def _of_params(self) -> str:
        resource = self._omni.get(Kind.CONNECTION_PARAMS, PARAMS_ID)
        if resource is None:
            raise Unusable(
                f"this Omni has neither the type ProviderJoinConfigs nor ConnectionParams {PARAMS_ID!r}, so no machine "
                "can join; update Omni"
            )
        spec = resource.spec
        params = ConnectionParams(spec.api_endpoint, spec.join_token, spec.events_port, spec.logs_port)
        try:
            return join_documents(params, self._omni.provider_id)
        except ParamsUnusable as error:
            raise Unusable(str(error)) from None

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            log.error("no_join_config", problem=problem)
        self.problem = problem


class Unusable(Exception):
    """Omni has nothing with which machines could join; the text says why, with the remedy."""

"""Keep our own certificate authority: it stands in Omni, is made there once, and is put into the mirror for `web`.

One that stands in Omni and cannot be used is never replaced: machines that run trust it, and another program under our
id may be able to use it. A person has to see to it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

import structlog

from app.omni.client import Omni
from app.omni.errors import AlreadyExists
from app.omni.kinds import Kind
from app.omni.resource import Resource
from app.state.mirror import Mirror
from app.tls.authority import Authority, AuthorityUnusable, make_authority, open_authority
from config.settings import Settings
from protos.gen.provider.records_pb2 import TLSConfigSpec

log = structlog.get_logger()

ID: Final = "tls-config"
# A person who has just mended it looks at what comes of it.
RETRY_S: Final = 10.0


class AuthorityKeeper:
    """Finds or makes the authority. problem: what is wrong with the one in Omni, with the remedy, or ''."""

    def __init__(self, settings: Settings, omni: Omni, mirror: Mirror) -> None:
        self._omni, self._mirror = omni, mirror
        self._wanted = settings.tls_enabled and settings.tls_cert_file is None
        self._life_s = settings.tls_ca_ttl_s
        self._type = Kind.TLS_CONFIG.type(settings.id)
        self._looked_s = 0.0
        self.problem = ""

    def retry(self) -> None:
        """Look again every few seconds while the one in Omni cannot be used. Raises OmniError, RedisError."""
        if self.problem and time.monotonic() - self._looked_s > RETRY_S:
            self.refresh()

    def refresh(self) -> None:
        """Put the authority of Omni into the mirror, and make it where there is none. Raises OmniError, RedisError."""
        if not self._wanted:
            return
        now, self._looked_s = datetime.now(UTC), time.monotonic()
        spec = (self._omni.get(Kind.TLS_CONFIG, ID) or self._make(now)).spec
        authority = Authority(spec.ca_cert, spec.ca_key)
        try:
            open_authority(authority, now)
        except AuthorityUnusable as error:
            self._complain(
                f"the certificate authority in Omni cannot be used: {error}. Mend or remove the resource {self._type} "
                f"{ID!r}; once it is removed a new one is made, which machines trust from their next boot on"
            )
            return
        self.problem = ""
        if self._mirror.authority() != authority:
            self._mirror.put_ca(authority)
            log.info("authority_known")

    def _make(self, now: datetime) -> Resource:
        """Create it; where another process was first, the answer is what that one made."""
        authority = make_authority(self._life_s, now)
        spec = TLSConfigSpec(ca_cert=authority.certificate, ca_key=authority.key)
        try:
            made = self._omni.create(Kind.TLS_CONFIG, ID, spec)
        except AlreadyExists as error:
            found = self._omni.get(Kind.TLS_CONFIG, ID)
            if found is None:
                raise error from None
            return found
        log.info("authority_made", resource=f"{self._type} {ID}", life_s=self._life_s)
        return made

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            log.error("authority_unusable", problem=problem)
        self.problem = problem

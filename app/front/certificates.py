"""Which certificate is shown to agents now: one of our own authority, or that of the operator's files.

`look` is called every few seconds, in a thread: it reads Redis or files. Connections that stand keep what they began
with, so a new certificate ends none.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import redis
import structlog

from app.front.tls_socket import TlsSocket
from app.tls.authority import Authority, AuthorityUnusable
from app.tls.context import KeyRefused, server_context
from app.tls.files import FilesBad, OwnFiles, load_files
from app.tls.leaf import RENEWED_AT, Leaf, issue
from app.tls.pem import Key
from config.settings import Settings

log = structlog.get_logger()

# The watcher tells the authority within seconds of its start; whoever waits for it asks again this soon.
LOOK_WITHOUT_S: Final = 1.0
# The shortest life of a certificate is 5 min, of which a tenth is 30 s.
LOOK_EVERY_S: Final = 10.0
# What does not change is said again this often.
REMIND_EVERY_S: Final = 60.0


class Certificates(Protocol):
    """What is shown in handshakes."""

    @property
    def context(self) -> ssl.SSLContext | None:
        """For the next connection; None while there is no certificate."""

    @property
    def trouble(self) -> str:
        """What is wrong, in words for the operator, or ''."""

    def look(self) -> None:
        """See whether something new is to be shown. Blocks; raises nothing that can be foreseen."""


class AuthoritySource(Protocol):
    """Where our own authority is kept: the mirror."""

    def authority(self) -> Authority | None:
        """The authority; None while it is not known. Raises RedisError."""


def certificates_of(settings: Settings, source: AuthoritySource) -> Certificates:
    """What these settings ask for."""
    return FromFiles(settings) if settings.tls_cert_file else FromAuthority(settings, source)


class _Shown:
    """Holds the context, and what is wrong."""

    def __init__(self) -> None:
        self.context: ssl.SSLContext | None = None
        self.trouble = ""
        self._reminded_s = float("-inf")

    def _show(self, certificate: str, key: Key, expires: datetime) -> None:
        context = server_context(certificate, key)
        context.sslsocket_class = TlsSocket
        self.context = context
        self.trouble = ""
        log.info("certificate_shown", expires=expires.isoformat(timespec="seconds"))

    def _complain(self, event: str, trouble: str, **more: str) -> None:
        """Say what is wrong, now and then again."""
        now_s = time.monotonic()
        if trouble != self.trouble or now_s - self._reminded_s > REMIND_EVERY_S:
            log.warning(event, reason=trouble, **more)
            self.trouble, self._reminded_s = trouble, now_s


class FromAuthority(_Shown):
    """Certificates of our own authority, renewed when a tenth of their life is left."""

    def __init__(self, settings: Settings, source: AuthoritySource) -> None:
        super().__init__()
        self._source = source
        self._id, self._address = settings.id, settings.api_advertise_address
        self._life_s = settings.tls_cert_ttl_s
        self._authority: Authority | None = None
        self._leaf: Leaf | None = None

    def look(self) -> None:
        """Issue a certificate where there is none, the authority is another, or it is time."""
        authority = self._known()
        if authority is None:
            self._complain(
                "waiting_for_authority",
                "the watcher has not yet read the certificate authority from Omni, or made it there",
                effect="agents that come over TLS are turned away until then",
            )
            return
        now = datetime.now(UTC)
        if self._leaf and authority == self._authority and not self._leaf.due(now):
            self.trouble = ""
            return
        try:
            leaf = issue(authority, self._id, self._address, self._life_s, now)
            self._show(leaf.certificate, leaf.key, leaf.expires)
        except (AuthorityUnusable, KeyRefused) as error:
            self._complain("certificate_not_issued", f"no certificate can be issued: {error}")
        else:
            self._authority, self._leaf = authority, leaf

    def _known(self) -> Authority | None:
        """What stands in Redis, else what stood there."""
        try:
            return self._source.authority() or self._authority
        except redis.RedisError:
            return self._authority


class FromFiles(_Shown):
    """The operator's own certificate, read anew when a file changes; one that is bad is told, and not shown."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        paths = (settings.tls_cert_file, settings.tls_key_file, settings.tls_ca_cert_file)
        self._paths = [path for path in paths if path]
        self._stamps: list[tuple[int, int] | None] | None = None
        self._files: OwnFiles | None = None

    def look(self) -> None:
        """Read the files if they are not those of before."""
        now = datetime.now(UTC)
        stamps = [_stamp(path) for path in self._paths]
        if stamps != self._stamps and not self._read(now):
            return
        self._stamps = stamps
        self._look_at_life(now)

    def _look_at_life(self, now: datetime) -> None:
        files = self._files
        if files is None or files.expires - now > (files.expires - files.issued) * RENEWED_AT:
            self.trouble = ""
            return
        at = f"{files.expires:%Y-%m-%d %H:%M} UTC"
        self._complain("certificate_expires", f"the certificate of --tls-cert-file ends at {at}: put a newer one there")

    def _read(self, now: datetime) -> bool:
        """Whether they are shown now. Of two that are replaced one after the other the first is bad for a moment."""
        try:
            files = load_files(self._settings, now)
            self._show(files.certificate, files.key, files.expires)
        except (FilesBad, KeyRefused) as error:
            self._complain("certificate_files_bad", str(error), effect="what was shown before is shown, if any")
            return False
        self._files = files
        return True


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino

"""The port of gRPC over TLS: its listeners, its certificate, and the look that keeps that one fresh."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import redis
import structlog

from app.front.certificates import LOOK_EVERY_S, LOOK_WITHOUT_S, Certificates, certificates_of
from app.front.handshake import TlsDoor
from app.front.listen import Acceptor
from app.front.splice import Splicer
from app.state.connection import connect
from app.state.health import note_tls
from app.state.mirror import Mirror
from app.state.secrets import sealer
from config.settings import Settings

log = structlog.get_logger()


@contextlib.contextmanager
def tls_port(settings: Settings, splicer: Splicer, listeners: Sequence[socket.socket]) -> Iterator[None]:
    """Take connections over TLS until it is left. Those that are spliced by then are the splicer's."""
    client = connect(settings)
    host = socket.gethostname()
    certificates = certificates_of(settings, Mirror(client, sealer(settings)))
    with serving(certificates, splicer, listeners, tell=lambda words: note_tls(client, host, words)):
        log.info("tls_port_open", port=settings.tls_api_port)
        yield


@contextlib.contextmanager
def serving(
    certificates: Certificates,
    splicer: Splicer,
    listeners: Sequence[socket.socket],
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[TlsDoor]:
    """Take connections with these certificates. Belongs to the loop in which it is used.

    tell: is told every few seconds what is wrong, or ''; may raise RedisError.
    """
    door = TlsDoor(splicer, certificates)
    stopping = threading.Event()
    # A look may hang on a Redis that does not answer, and must not keep the process from ending.
    looking = (certificates, tell, stopping)
    threading.Thread(target=_keep_looking, args=looking, name="certificates", daemon=True).start()
    acceptors = [Acceptor(listener, door.take) for listener in listeners]
    try:
        yield door
    finally:
        stopping.set()
        for acceptor in acceptors:
            acceptor.close()
        door.close()


def _keep_looking(certificates: Certificates, tell: Callable[[str], None], stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            certificates.look()
            with contextlib.suppress(redis.RedisError):
                tell(certificates.trouble)
        except Exception:  # the outer edge: a thread that ends would let the certificate expire
            log.exception("certificate_look_broke")
        stopping.wait(LOOK_EVERY_S if certificates.context else LOOK_WITHOUT_S)

"""The way to Omni that all calls of a client share: one channel, made anew where its certificate was renewed.

A channel connects with its first call, and again by itself after each break. What it trusts is fixed when it is made;
so where it is pinned to the certificate that was served (`--insecure-skip-tls-verify`), a handshake that fails is the
sign to fetch the certificate again. Any number of threads and greenlets may use it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import grpc

from app.omni.channel import open_channel
from app.omni.endpoint import parse_endpoint
from app.omni.errors import ClockWrong, KeyExpired, NotAuthenticated, OmniError, OmniUnavailable, clean
from app.omni.handshake import handshake_words
from app.omni.pinning import Pin, served_certificate
from app.omni.skew import ClockComparison, skew_words, too_far
from app.omni.status import error_for
from app.omni.unzipping import UnzippingChannel
from protos.gen.cosi.state_pb2_grpc import StateStub

# A hundred greenlets that all wait for an Omni that is away must not each ask it for its certificate.
FETCH_PAUSE_S = 1.0

_Answer = TypeVar("_Answer")


class Connection:
    """The connection to one endpoint. Raises EndpointInvalid when it is made.

    key_ends_s: until when the key is good that calls are signed with, in seconds since 1970.
    """

    def __init__(self, endpoint: str, *, skip_verify: bool = False, key_ends_s: float | None = None) -> None:
        self._key_ends_s = key_ends_s
        self._place = parse_endpoint(endpoint)
        self._clocks = ClockComparison(endpoint, skip_verify=skip_verify)
        self._pinned = skip_verify and self._place.secure
        self._lock = threading.Lock()
        self._pin: Pin | None = None
        self._suspect = self._pinned
        self._fetch_at_s = 0.0
        self._problem = ""
        self._channel: grpc.Channel | None = None
        self._retired: grpc.Channel | None = None
        self._stub: StateStub | None = None
        if not self._pinned:
            self._open(None)

    def send(self, call: Callable[[StateStub], _Answer]) -> _Answer:
        """Do a call, once more where it failed because Omni serves another certificate than before.

        Args:
            call: does it with the stub that it is given, to the end of its answer.

        Raises:
            grpc.RpcError: the call failed.
            OmniUnavailable: Omni must be pinned first, and serves no certificate.
        """
        stub = self._present()
        try:
            return call(stub)
        except grpc.RpcError as error:
            self._suspect_after(stub, error.details())
            # A call that failed in the handshake has not reached Omni.
            if not handshake_words(error.details() or "") or self._present() is stub:
                raise
        return call(self._present())

    def open_stream(self, start: Callable[[StateStub], Any]) -> Any:
        """Begin a call that answers for long. Raises OmniUnavailable like `send`."""
        stub = self._present()
        stream = start(stub)
        stream.add_done_callback(lambda ended: self._suspect_after(stub, ended.details()))
        return stream

    def error(self, method: str, status: grpc.RpcError, subject: str) -> OmniError:
        """What a status means.

        Args:
            method: without its service, as `Get`.
            status: what the call raised.
            subject: what the call was about, for a person.
        """
        error = error_for(method, status.code(), status.details() or "", subject)
        return self._why_refused(error) if isinstance(error, NotAuthenticated) else error

    def _why_refused(self, error: NotAuthenticated) -> NotAuthenticated:
        """Omni does not tell why; a wrong clock is the usual reason, and a key that has expired the next one."""
        skew_s, cause = self._clocks.skew_s(), type(error)
        said = [error.words, skew_words(skew_s) if skew_s is not None else "Omni's clock could not be read"]
        if too_far(skew_s):
            cause = ClockWrong
        elif self._key_ends_s is not None and self._key_ends_s <= time.time():
            cause = KeyExpired
            said.append(f"the key expired at {datetime.fromtimestamp(self._key_ends_s, UTC):%Y-%m-%d %H:%M} UTC")
        return cause(error.method, error.subject, "; ".join(filter(None, said)))

    def close(self) -> None:
        """End all calls."""
        with self._lock:
            for channel in (self._channel, self._retired):
                if channel is not None:
                    channel.close()

    def _present(self) -> StateStub:
        stub = self._stub
        if stub is not None and not self._suspect:
            return stub
        with self._lock:
            if self._suspect:
                self._pin_anew()
            if self._stub is None:
                raise OmniUnavailable("Connect", self._place.address, self._problem)
            return self._stub

    def _suspect_after(self, stub: StateStub, details: str | None) -> None:
        """Have the certificate fetched before the next call, if it may be why a call with this stub failed."""
        if self._pinned and stub is self._stub and handshake_words(details or ""):
            self._suspect = True

    def _pin_anew(self) -> None:
        """Fetch the certificate, and make the channel anew if it is another. At most once a second."""
        if time.monotonic() < self._fetch_at_s:
            return
        try:
            pin = served_certificate(self._place)
        except OSError as error:
            self._problem = f"no certificate could be fetched: {clean(str(error))}"
            pin = None
        self._fetch_at_s = time.monotonic() + FETCH_PAUSE_S
        if pin is None:
            return
        self._suspect = False
        if pin != self._pin:
            self._open(pin)

    def _open(self, pin: Pin | None) -> None:
        if self._retired is not None:
            self._retired.close()
        # Others may be about to call with the one before, which a closed channel answers with a ValueError.
        self._retired = self._channel
        self._channel = open_channel(self._place, pin)
        self._stub = StateStub(cast(grpc.Channel, UnzippingChannel(self._channel)))
        self._pin = pin

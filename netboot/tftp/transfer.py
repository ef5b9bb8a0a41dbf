"""The child that sends one file: fbtftp's conversation, made safe against what a client may send in it.

What is done over here: fbtftp breaks at an answer of less than four bytes, ends at a stranger's packet, answers an
ERROR with an ERROR, goes by the clock on the wall, and after its first timeout repeats a packet for each old ACK.
"""

from __future__ import annotations

import io
import struct
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog
from fbtftp.base_handler import BaseHandler, ResponseData

from netboot.tftp.outcome import Outcome
from netboot.tftp.ports import Port
from netboot.tftp.sockets import Client
from netboot.tftp.verdict import ErrorCode, Opcode, Send, error_packet

log = structlog.get_logger()

# RFC 1350 names no number. A LAN answers within milliseconds, a busy machine within a second.
TIMEOUT_S: Final = 1
# Who lives answers the first packet at once, or repeats its request, for which there is a new transfer then. More would
# only help those who ask in the name of others: to take places, and to have us send to them.
FIRST_ANSWER_S: Final = 3.0
# A client that has answered and is silent for so long is gone. It has had two repetitions at its longest timeout, and
# the time to answer.
SILENCE_LIMIT_S: Final = 12.0

_HEADER: Final = struct.Struct("!HH")

# Opens the port of a transfer, in the child.
OpenPort = Callable[[], Port]


class Content(ResponseData):  # type: ignore[misc]  # fbtftp has no types
    """A file in memory, as fbtftp reads it."""

    def __init__(self, content: bytes) -> None:
        self._size = len(content)
        self._reader = io.BytesIO(content)

    def read(self, n: int) -> bytes:
        """The next `n` bytes, fewer at the end."""
        return self._reader.read(n)

    def size(self) -> int:
        """All bytes."""
        return self._size

    def close(self) -> None:
        """Nothing is held open."""


class Transfer(BaseHandler):  # type: ignore[misc]  # fbtftp has no types
    """One file to one client. It is made in the process that is its own, and not started as one of multiprocessing."""

    def __init__(
        self, order: Send, content: bytes, client: Client, open_port: OpenPort, tell_answered: Callable[[], None]
    ) -> None:
        """Prepare it.

        Args:
            order: what to send, with the options that were agreed to.
            content: the bytes of the file.
            client: to whom.
            open_port: gives the port.
            tell_answered: called when the client has acknowledged the first packet.
        """
        self._content = content
        self._open_port = open_port
        self._tell_answered = tell_answered
        self._port: Port | None = None
        self._outcome = Outcome.SENT
        self._answered = False
        self._deadline_s = monotonic() + FIRST_ANSWER_S
        options = OrderedDict[str, str | int](mode=order.mode, default_timeout=TIMEOUT_S, retries=0)
        options.update(order.options)
        super().__init__((client.local, 0), client.peer, order.name, options, _ignore)

    def send(self) -> Outcome:
        """Send the file; how it ended."""
        try:
            self.run()
        except ConnectionRefusedError:
            return self._unless_all_is_sent(Outcome.CLIENT_GONE)
        except OSError as error:
            log.debug("tftp_cannot_send", address=self._peer[0], reason=str(error))
            return Outcome.NO_NETWORK
        except Exception:  # the outer edge of the child: its parent goes on, whatever it was
            log.exception("tftp_transfer_broke", name=self._path)
            return Outcome.BROKE
        return self._outcome

    def run_once(self) -> None:
        """Wait for a packet or a timeout, and do what it asks for."""
        self.on_new_data()
        if monotonic() > self._expires_s:
            self._handle_timeout()

    def on_new_data(self) -> None:
        """Take one packet of the client."""
        packet = self._get_listener().receive()
        if packet is None or len(packet) < _HEADER.size:
            return
        opcode, number = _HEADER.unpack_from(packet)
        if opcode == Opcode.ACK:
            self._handle_ack(number)
        elif opcode == Opcode.ERROR:
            self._end(Outcome.ENDED_BY_CLIENT if self._last_block_sent else Outcome.PROBED)
        else:
            words = "only acknowledgements are taken here"
            self._get_listener().sendto(error_packet(ErrorCode.ILLEGAL_OPERATION, words), self._peer)
            self._end(Outcome.BAD_PACKET)

    def get_response_data(self) -> Content:
        """What fbtftp sends."""
        return Content(self._content)

    def _get_listener(self) -> Port:
        if self._port is None:
            self._port = self._open_port()
        return self._port

    def _handle_ack(self, number: int) -> None:
        if number == self._last_block_sent:
            self._deadline_s = monotonic() + SILENCE_LIMIT_S
            if not self._answered:
                self._answered = True
                self._tell_answered()
        super()._handle_ack(number)

    def _reset_timeout(self) -> None:
        timeout_s = self._timeout if self._answered else TIMEOUT_S
        self._expires_s = min(monotonic() + timeout_s, self._deadline_s)

    def _handle_timeout(self) -> None:
        if monotonic() > self._deadline_s:
            self._end(self._unless_all_is_sent(Outcome.SILENT))
            return
        self._transmit_data()
        self._reset_timeout()

    def _unless_all_is_sent(self, outcome: Outcome) -> Outcome:
        """Many clients are done with the last block, and an ACK that is lost then never comes again."""
        return Outcome.LAST_ACK_MISSED if self._waiting_last_ack and self._answered else outcome

    def _end(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._should_stop = True

    def _close(self, test: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - fbtftp's own
        self._get_listener().close()


def _ignore(_statistics: object) -> None:
    """Statistics that fbtftp would have told."""

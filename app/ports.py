"""Whether we could listen on a port, and if not, who is in the way and what to do."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.errors import StartError

PROC: Final = Path("/proc")
# Columns of /proc/net/tcp and /proc/net/udp.
LOCAL: Final = 1
STATE: Final = 3
INODE: Final = 9
LISTENING: Final = "0A"
# A UDP socket that is bound and takes from everybody.
BOUND: Final = "07"
# Enough of a command line to know the program by.
SHOWN_WORDS: Final = 6


class PortInUse(StartError):
    """Another program listens there, or another process of ours."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who listens on a port. process, parent: their ids; command: the words of its command line."""

    process: int
    parent: int
    command: tuple[str, ...]

    @property
    def words(self) -> str:
        """`nginx -g daemon off; (process 77)`."""
        shown = " ".join(" ".join(self.command[:SHOWN_WORDS]).split())  # a word may hold line ends
        return f"{shown or 'another program'} (process {self.process})"


def check_free(host: str, port: int, option: str) -> None:
    """Try to bind.

    Args:
        host: address or name; empty for all addresses.
        port: the port.
        option: the option to change, named in the message.

    Raises:
        PortInUse: somebody listens there; the text names who, where the system tells.
        StartError: the port cannot be had for another reason.
    """
    for family, address in _addresses(host, port, option):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                # Not listened on: whoever connects meanwhile would be cut off instead of refused.
                probe.bind(address)
            except OSError as error:
                _refuse(error, host, port, option)


def _addresses(host: str, port: int, option: str) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    if not host:
        return [(socket.AF_INET, ("", port)), (socket.AF_INET6, ("", port))]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"{option}: {host} is not known ({error.strerror}); name an address of this host") from None
    return [(family, (str(address[0]), port)) for family, _, _, _, address in found]


def _refuse(error: OSError, host: str, port: int, option: str) -> None:
    match error.errno:
        case errno.EADDRINUSE:
            holder = holder_of(port)
            by_whom = f" by {holder.words}" if holder else ""
            raise PortInUse(f"port {port} is in use{by_whom}; end that program or choose another port with {option}")
        case errno.EACCES:
            raise StartError(f"port {port} may not be used by this user; choose one above 1023 with {option}")
        case errno.EADDRNOTAVAIL if host:
            raise StartError(f"{host} is not an address of this host; name one that is, or none for all of them")
        case errno.EAFNOSUPPORT | errno.EADDRNOTAVAIL:
            return  # a host without IPv6
        case _:
            raise StartError(f"port {port} cannot be used ({error.strerror}); choose another with {option}")


def holder_of(port: int) -> Holder | None:
    """Who listens on this TCP port, on whichever address; None where nobody does, or the system does not tell us."""
    return next(_holders_of(_inodes(port, "tcp", LISTENING)), None)


def udp_holders_of(port: int) -> tuple[Holder, ...]:
    """All who have this UDP port, on whichever address and interface, as far as the system tells us."""
    return tuple(_holders_of(_inodes(port, "udp", BOUND)))


def udp_is_held(port: int) -> bool:
    """Whether anybody has this UDP port, also where the system does not tell us who."""
    return bool(_inodes(port, "udp", BOUND))


def _holders_of(inodes: set[str]) -> Iterator[Holder]:
    for folder in PROC.glob("[0-9]*/fd") if inodes else ():
        if inodes & _open_files(folder):
            yield _holder(folder.parent)


def _inodes(port: int, transport: str, state: str) -> set[str]:
    """The sockets of this port in this state, as they stand among the open files of a process."""
    tables = [table for table in (PROC / "net" / transport, PROC / "net" / f"{transport}6") if table.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return {f"socket:[{row[INODE]}]" for row in rows if row[STATE] == state and row[LOCAL].endswith(f":{port:04X}")}


def _open_files(folder: Path) -> set[str]:
    """Return what a process has open; nothing where we may not look or it has just ended."""
    targets = set()
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            targets.add(str(entry.readlink()))
    return targets


def command_of(process: int) -> tuple[str, ...]:
    """The words of a process' command line; its name where it has none, and nothing where there is no such process."""
    folder = PROC / str(process)
    try:
        words = (folder / "cmdline").read_bytes().split(b"\0")
        found = tuple(word.decode(errors="replace") for word in words if word)
        return found or ((folder / "comm").read_text().strip(),)
    except OSError:
        return ()


def _holder(process: Path) -> Holder:
    number = int(process.name)
    try:
        # A program's name, which stands there in brackets, may hold blanks and brackets.
        parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        parent = 0
    return Holder(number, parent, command_of(number))

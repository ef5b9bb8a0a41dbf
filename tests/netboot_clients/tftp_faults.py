"""What a TFTP server must survive, each with the answer that it is to give."""

from dataclasses import dataclass

from tests.netboot_clients.tftp import DATA, ERROR, OPTIONS_ACK, TftpClient, error_of, kind_of, read_request

NAME = "small.bin"
NOT_FOUND, ACCESS_VIOLATION, ILLEGAL, UNKNOWN_TRANSFER = 1, 2, 4, 5
# Nothing is to come; what does comes within a millisecond, and later where the processor is busy.
NO_ANSWER_S = 0.25


@dataclass(frozen=True, slots=True)
class Fault:
    """A datagram to the server's port.

    first: the kind of packet that answers it, or None. code: that of an ERROR. holds, lacks: words in the answer.
    then: what the client sends to where the answer came from.
    """

    datagram: bytes
    first: int | None
    code: int | None = None
    holds: bytes = b""
    lacks: bytes = b"\xff\xff\xff"
    then: tuple[bytes, ...] = ()


def _options(*words, holds=b"", lacks=b"\xff\xff\xff", first=DATA):
    return Fault(read_request(NAME, *words), first, holds=holds, lacks=lacks)


def _refused(datagram, code):
    return Fault(datagram, ERROR, code)


FAULTS = {
    "empty datagram": Fault(b"", None),
    "one byte": Fault(b"\0", None),
    "operation alone": _refused(b"\0\1", ILLEGAL),
    "operation 0": _refused(b"\0\0name\0octet\0", ILLEGAL),
    "operation 65535": _refused(b"\xff\xff" * 20, ILLEGAL),
    "option retries": _options("retries", "999999999"),
    "option default_timeout 0": _options("default_timeout", "0"),
    "option default_timeout abc": _options("default_timeout", "abc"),
    "option mode": _options("mode", "mail"),
    "blksize 0": _options("blksize", "0"),
    "blksize -1": _options("blksize", "-1"),
    "blksize 1": _options("blksize", "1"),
    "blksize abc": _options("blksize", "abc"),
    "blksize of 300 digits": _options("blksize", "9" * 300),
    "blksize 99999999": _options("blksize", "99999999", first=OPTIONS_ACK, holds=b"blksize\x001468\0"),
    "blksize 65464": _options("blksize", "65464", first=OPTIONS_ACK, holds=b"blksize\x001468\0"),
    "timeout 0": _options("timeout", "0"),
    "timeout -5": _options("timeout", "-5"),
    "timeout 999999": _options("timeout", "999999"),
    "windowsize": _options("windowsize", "16", "blksize", "1024", first=OPTIONS_ACK, lacks=b"windowsize"),
    "option without value": _options("tsize", "0", "blksize", first=OPTIONS_ACK, lacks=b"blksize"),
    "option with empty value": _options("tsize", "", "blksize", "1024", first=OPTIONS_ACK, lacks=b"tsize"),
    "60 options": _options(*(word for n in range(60) for word in (f"o{n}", "1"))),
    "no mode": _refused(b"\0\1small.bin\0", ILLEGAL),
    "nothing but zero bytes": _refused(b"\0\1" + bytes(100), ILLEGAL),
    "mode mail": _refused(read_request(NAME, mode="mail"), ILLEGAL),
    "request of 513 bytes": _refused(read_request("a" * 504), ILLEGAL),
    "request of 60,000 bytes": _refused(read_request("a" * 60_000), ILLEGAL),
    "file that is not there": _refused(read_request("no.such"), NOT_FOUND),
    "file that is not there, with tsize": _refused(read_request("no.such", "tsize", "0"), NOT_FOUND),
    "way out of the folder": _refused(read_request("../../../../etc/passwd"), NOT_FOUND),
    "absolute name": _refused(read_request("/etc/passwd"), NOT_FOUND),
    "name of escape codes": _refused(read_request("\x1b[2J\r\n\u2028"), NOT_FOUND),
    "wish to write": _refused(b"\0\2small.bin\0octet\0", ACCESS_VIOLATION),
    "data to the server's port": _refused(b"\0\3\0\1data", UNKNOWN_TRANSFER),
    "acknowledgement to the server's port": _refused(b"\0\4\0\1", UNKNOWN_TRANSFER),
    "short acknowledgement to the server's port": _refused(b"\0\4", UNKNOWN_TRANSFER),
    "error to the server's port": Fault(b"\0\5\0\1away\0", None),
    "short acknowledgement": Fault(read_request(NAME), DATA, then=(b"\0", b"\0\4", b"\0\4\0")),
    "empty acknowledgement": Fault(read_request(NAME), DATA, then=(b"",)),
    "data within a transfer": Fault(read_request(NAME), DATA, then=(b"\0\3\0\1data",)),
    "nonsense within a transfer": Fault(read_request(NAME), DATA, then=(b"\xff" * 2000,)),
    "acknowledgement of what was not sent": Fault(read_request(NAME), DATA, then=(b"\0\4\x30\x39",)),
    "error within a transfer": Fault(read_request(NAME), DATA, then=(b"\0\5\0\3disk full\0",)),
    "size asked for alone": Fault(
        read_request(NAME, "tsize", "0", "blksize", "1468"), OPTIONS_ACK, then=(b"\0\5\0\x08User aborted\0",)
    ),
    "no acknowledgement at all": Fault(read_request(NAME), DATA),
}


def commit(fault, server, own="127.0.0.1"):
    """Do it to a server, and see that the answer is the right one."""
    with TftpClient(server, own) as client:
        client.ask(fault.datagram)
        if fault.first is None:
            client.socket.settimeout(NO_ANSWER_S)
        try:
            packet, peer = client.answer()
        except TimeoutError:
            assert fault.first is None, "no answer"
            return
        assert kind_of(packet) == fault.first, packet[:60]
        assert fault.code is None or error_of(packet) == fault.code
        assert fault.holds in packet and fault.lacks not in packet, packet[:60]
        for answer in fault.then:
            client.socket.sendto(answer, peer)

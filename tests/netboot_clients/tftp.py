"""A TFTP client that reads a file, packet by packet, as RFC 1350 and RFC 2347 have it."""

import socket
import struct

READ, WRITE, DATA, ACK, ERROR, OPTIONS_ACK = range(1, 7)
DEFAULT_BLOCK = 512


def read_request(name, *options, mode="octet"):
    """The bytes of a request for a file; options are names and values in turn."""
    return struct.pack("!H", READ) + b"\0".join(word.encode() for word in (name, mode, *options)) + b"\0"


def ack(number):
    return struct.pack("!HH", ACK, number % 65_536)


def kind_of(packet):
    return struct.unpack_from("!H", packet)[0]


def error_of(packet):
    """The code of an ERROR packet."""
    assert kind_of(packet) == ERROR, packet[:40]
    return struct.unpack_from("!H", packet, 2)[0]


class Refused(Exception):
    """The server answered with an ERROR; its code is the argument."""


class TftpClient:
    """A client at a port of its own. Use as a context manager."""

    def __init__(self, server, own="127.0.0.1", timeout_s=2.0):
        """server: address and port. own: the address to ask from."""
        self.server = server
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((own, 0))
        self.socket.settimeout(timeout_s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, datagram):
        self.socket.sendto(datagram, self.server)

    def answer(self):
        """The next packet, and where it came from. Raises TimeoutError."""
        return self.socket.recvfrom(65_535)

    def fetch(self, name, *options):
        """The content of a file. Raises Refused, TimeoutError; it repeats nothing."""
        self.ask(read_request(name, *options))
        packet, peer = self.answer()
        block, content, number = DEFAULT_BLOCK, b"", 1
        if kind_of(packet) == OPTIONS_ACK:
            words = packet[2:].split(b"\0")
            block = int(dict(zip(words[::2], words[1::2], strict=False)).get(b"blksize", block))
            packet = self._next(ack(0), peer)
        while True:
            if kind_of(packet) == ERROR:
                raise Refused(error_of(packet))
            if packet[:4] == struct.pack("!HH", DATA, number % 65_536):
                content += packet[4:]
                if len(packet) < block + 4:
                    self.socket.sendto(ack(number), peer)
                    return content
                number += 1
            packet = self._next(ack(number - 1), peer)

    def _next(self, packet, peer):
        self.socket.sendto(packet, peer)
        return self.answer()[0]

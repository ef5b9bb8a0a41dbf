"""A relay between us and an IPMI BMC, which counts how often somebody begins to log in."""

import contextlib
import selectors
import socket
import threading

# Of RMCP+: the authentication type that says so, and the message in which somebody first names a user.
RMCP_PLUS, TYPE_AT, PAYLOAD_AT, RAKP_1 = 0x06, 4, 5, 0x12
LARGEST = 65_535


class UdpRelay:
    """Listens on a free port of the loopback; one socket towards the BMC for each that comes."""

    def __init__(self, bmc):
        self._bmc = bmc
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self.port = self._front.getsockname()[1]
        self.sessions = 0
        self._peers = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ)
        self._ends, self._end = socket.socketpair()
        self._selector.register(self._ends, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="udp-relay", daemon=True)
        self._thread.start()

    def close(self):
        self._end.send(b"x")
        self._thread.join()
        for end in (self._front, self._ends, self._end, *self._peers.values()):
            end.close()
        self._selector.close()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._ends:
                    return
                with contextlib.suppress(OSError):  # a BMC that is gone: the packet is lost
                    self._pass_on(key.fileobj, key.data)

    def _pass_on(self, end, peer):
        if end is not self._front:
            self._front.sendto(end.recv(LARGEST), peer)
            return
        packet, peer = end.recvfrom(LARGEST)
        if len(packet) > PAYLOAD_AT and packet[TYPE_AT] == RMCP_PLUS:
            self.sessions += packet[PAYLOAD_AT] & 0x3F == RAKP_1
        if peer not in self._peers:
            self._peers[peer] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._peers[peer].connect(self._bmc)
            self._selector.register(self._peers[peer], selectors.EVENT_READ, peer)
        self._peers[peer].send(packet)

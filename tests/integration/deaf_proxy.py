"""A way to a server that can fall silent (nothing is passed on any more, and no connection ends), or be slow."""

import contextlib
import socket
import threading
import time


class DeafProxy:
    """Use as a context manager. `deaf` says whether it is, `delay_s` how long each packet takes."""

    def __init__(self, port):
        """port: of the server, on the loopback."""
        self.deaf, self.delay_s = False, 0.0
        self._behind = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                before, _ = self._listener.accept()
                behind = socket.create_connection(self._behind)
                self._sockets += [before, behind]
                for ends in ((before, behind), (behind, before)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source, sink):
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                time.sleep(self.delay_s)
                if not self.deaf:
                    sink.sendall(chunk)
            sink.shutdown(socket.SHUT_RDWR)

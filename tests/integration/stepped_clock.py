"""A wall clock that can be put forward and back under running processes; stepped_clock.c is preloaded into them."""

import contextlib
import shutil
import struct
import subprocess
import time
from pathlib import Path

import redis

from app.bundled_redis import packaged_binary
from app.state.mirror_keys import FRESH
from tests.integration.children import wait_until

COMPILER = shutil.which("cc")


class SteppedClock:
    """The wall clock of the processes that are started with `environ`; their monotonic clock is the true one."""

    def __init__(self, folder, name):
        self._path = folder / f"{name}-clock"
        library = folder / f"{name}-clock.so"
        source = Path(__file__).with_name("stepped_clock.c")
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self._path.write_bytes(struct.pack("=q", 0))
        self.environ = {"LD_PRELOAD": str(library), "STEPPED_CLOCK": str(self._path)}

    def put(self, ahead_s):
        """Show a time so far ahead of the true one from now on."""
        with self._path.open("r+b") as file:
            file.write(struct.pack("=q", ahead_s))


@contextlib.contextmanager
def redis_server(folder, clock):
    """A Redis with a clock of its own, empty as one that `omni-metal run` has just started: its URL."""
    socket = folder / "redis.sock"
    # Not one that is installed: Debian's does not start with a preloaded clock.
    command = [packaged_binary(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(command, env=clock.environ, stdout=subprocess.DEVNULL)
    try:
        wait_until(socket.exists)
        with redis.Redis(unix_socket_path=str(socket)) as client:
            client.set(FRESH, "1")
            for ahead_s in (100, 0):  # it follows, or nothing would be tested
                clock.put(ahead_s)
                wait_until(lambda wanted_s=ahead_s: abs(client.time()[0] - time.time() - wanted_s) < 5)
        yield f"unix://{socket}"
    finally:
        server.kill()
        server.wait()

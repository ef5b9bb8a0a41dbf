"""`omni-metal doctor` for a test: the command itself, what it says as data, and servers for it to look at."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from app.bundled_redis import server_binary
from tests.free_ports import free_port
from tests.integration.children import MARK, wait_until

AWAY_S = 35  # half a minute, and a start of Python on two busy cores


@dataclass
class Told:
    """What the doctor said."""

    status: int
    checks: dict
    text: str
    took_s: float

    def __getitem__(self, check):
        return self.checks[check]["verdict"]

    def words(self, check):
        return "\n".join(finding["words"] for finding in self.checks[check]["findings"])

    def remedies(self, check):
        return "\n".join(finding["remedy"] for finding in self.checks[check]["findings"])

    def failed(self):
        return [name for name, check in self.checks.items() if check["verdict"] == "failed"]


def command(*words, environ, timeout_s=60):
    """A command of the program, done."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "app.cli", *words],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def doctor(*options, environ=None):
    """Ask the doctor."""
    began_s = time.monotonic()
    done = command("doctor", "--json", *options, environ=environ or {})
    took_s = time.monotonic() - began_s
    assert not done.stderr, done.stderr
    said = json.loads(done.stdout)
    assert done.returncode == (0 if said["ok"] else 1)
    return Told(done.returncode, {check["check"]: check for check in said["checks"]}, done.stdout, took_s)


@contextmanager
def redis_server(folder, *options):
    """A Redis of the operator's own, which keeps nothing unless told otherwise; gives its URL."""
    port = free_port()
    place = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *options]
    process = subprocess.Popen(
        [server_binary(), *place], stdout=subprocess.DEVNULL, env={**os.environ, MARK: str(folder)}
    )
    try:
        with redis.Redis(port=port) as client:
            wait_until(lambda: answers(client))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def answers(client):
    try:
        return client.ping()
    except redis.AuthenticationError:
        return True
    except redis.RedisError:
        return False


@contextmanager
def deaf_port():
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def answering_port(answer, then_waits_s=0.0):
    """A port that gives each caller the same answer, whatever it says, and then hangs up."""
    over = threading.Event()

    def serve():
        with contextlib.suppress(OSError):  # closed: the end
            while not over.is_set():
                caller, _ = listener.accept()
                threading.Thread(target=give, args=(caller,), daemon=True).start()

    def give(caller):
        with caller, contextlib.suppress(OSError):
            caller.recv(4096)
            caller.sendall(answer)
            over.wait(then_waits_s)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)

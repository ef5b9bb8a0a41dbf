"""Gunicorn as it runs in production, on a real Redis, with an image factory that counts its questions."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import redis

from app.bundled_redis import server_binary
from app.front.peer import name_for
from app.omni.kinds import Kind
from app.omni.resource import Draft, Resource, blank
from app.state.connection import connect
from app.state.mirror import Mirror
from app.state.secrets import sealer
from config.settings import Settings, load
from tests.integration.children import wait_until

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = "bare-metal"
JOIN_CONFIG = "kind: SideroLinkConfig\napiUrl: grpc://omni?jointoken=the-join-token\n"


class FactoryStub(ThreadingHTTPServer):
    """The image factory: an id for each content after `delay_s`, or `status` with `words`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _FactoryHandler)
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.delay_s = 0.0
        self.status = 201
        self.answer: bytes | None = None
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _FactoryHandler(BaseHTTPRequestHandler):
    server: FactoryStub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        self.server.headers.append(dict(self.headers))
        time.sleep(self.server.delay_s)
        answer = self.server.answer or json.dumps({"id": hashlib.sha256(body).hexdigest()}).encode()
        with contextlib.suppress(OSError):
            self.send_response(self.server.status if self.path == "/schematics" else 404)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


@dataclass
class Answer:
    """What came back, with the bytes after the headers as they were."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class WebSite:
    """A running web process with what it stands on."""

    settings: Settings
    argv: list[str]
    redis: redis.Redis
    mirror: Mirror
    factory: FactoryStub
    log: Path
    process: subprocess.Popen[bytes] | None = None
    serial: Iterator[int] = field(default_factory=itertools.count)

    @property
    def socket(self) -> Path:
        return self.settings.run_dir / "web.sock"

    def start(self) -> None:
        environ = {**os.environ, "OMNI_METAL_ARGV": json.dumps(self.argv)}
        command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
        wait_until(self._answers, 30)

    def stop(self) -> int:
        assert self.process
        self.process.terminate()
        return self.process.wait(10)

    def ask(self, path: str, method: str = "GET", address: str = "10.0.0.7", **headers: str) -> Answer:
        """One request over a connection of its own, as the splice makes it for a client of this address."""
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(20)
            connection.sock.bind(name_for(address))
            connection.sock.connect(str(self.socket))
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def boot(self, machine_id: str, address: str = "10.0.0.7") -> Answer:
        return self.ask(f"/ipxe/boot.ipxe?uuid={machine_id}&mac=00-11-22-33-44-55&arch=x86_64", address=address)

    def put(self, kind: Kind, machine_id: str, **fields: Any) -> None:
        self.mirror.put(resource(kind, machine_id, **fields))

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError):
            return self.ask("/healthz").status == 200
        return False


def resource(kind: Kind, machine_id: str, **fields: Any) -> Resource:
    """A resource of a machine with these fields in its spec."""
    draft = Draft(blank(kind, PROVIDER, machine_id))
    for name, value in fields.items():
        setattr(draft.spec, name, value)
    raw = draft.build()
    raw.metadata.version = "1"
    return Resource(kind, raw)


@contextlib.contextmanager
def web_site(folder: Path, *options: str) -> Iterator[WebSite]:
    """Start Redis and gunicorn, with a complete and empty mirror; stop both."""
    redis_socket = folder / "r.sock"
    server = subprocess.Popen(
        [server_binary(), "--port", "0", "--unixsocket", str(redis_socket), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    factory = FactoryStub()
    argv = [
        "--omni-api-endpoint=http://127.0.0.1:1",
        "--api-advertise-address=10.0.0.1",
        f"--redis-url=unix://{redis_socket}",
        f"--state-dir={folder / 'state'}",
        f"--image-factory-base-url={factory.url}",
        *options,
    ]
    settings = load(argv, {})
    client = connect(settings)
    site = WebSite(
        settings, argv, client, Mirror(client, sealer(settings)), factory, folder / f"{secrets.token_hex(2)}.log"
    )
    try:
        wait_until(redis_socket.exists)
        site.mirror.put_join_config(JOIN_CONFIG)
        site.mirror.mark_complete(site.mirror.begin_build(), 0)
        site.start()
        yield site
    finally:
        if site.process:
            site.stop()
        factory.shutdown()
        factory.server_close()
        client.close()
        server.terminate()
        server.wait(10)

"""One port for HTTP and gRPC: what each client meets, and what the process behind it sees."""

import asyncio
import contextlib
import os
import socket
import tempfile
from pathlib import Path

import grpc
import pytest

from app.front import splice, way
from app.front.listen import Acceptor, open_listeners
from app.front.peer import address_of
from app.front.splice import Backends, Splicer
from protos.gen.tunnel.tunnel_pb2_grpc import (
    TunnelServiceServicer,
    TunnelServiceStub,
    add_TunnelServiceServicer_to_server,
)

pytestmark = pytest.mark.integration


class Web:
    """An HTTP server on a unix socket that answers with what it was sent, and with the client's address."""

    def __init__(self):
        self.peers = []

    async def answer(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            self.peers.append(address_of(writer.get_extra_info("peername")))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            body = await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(head) + len(body)) + head + body)
            await writer.drain()
        writer.close()


class Gateway(TunnelServiceServicer):
    def __init__(self):
        self.peers = []

    async def OpenTunnel(self, request_iterator, context):  # noqa: N802
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "")

    async def OpenReverseTunnel(self, request_iterator, context):  # noqa: N802
        self.peers.append(address_of(context.peer()))
        await context.abort(grpc.StatusCode.DATA_LOSS, "seen")


class Front:
    def __init__(self, folder, host):
        self.backends = Backends(Path(folder) / "web.sock", Path(folder) / "gateway.sock")
        self.host = host
        self.web, self.gateway = Web(), Gateway()

    async def start_backends(self):
        self.web_server = await asyncio.start_unix_server(self.web.answer, self.backends.web)
        self.grpc_server = grpc.aio.server()
        add_TunnelServiceServicer_to_server(self.gateway, self.grpc_server)
        self.grpc_server.add_insecure_port(f"unix:{self.backends.gateway}")
        await self.grpc_server.start()

    async def open(self):
        return await asyncio.open_connection(self.host or "127.0.0.1", self.port)

    async def dial(self):
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
        host = f"[{self.host}]" if ":" in self.host else self.host or "127.0.0.1"
        async with grpc.aio.insecure_channel(f"{host}:{self.port}", options=options) as channel:
            call = TunnelServiceStub(channel).OpenReverseTunnel(metadata=())
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            return caught.value.code()


@contextlib.asynccontextmanager
async def a_front(host="", *, backends=True):
    with tempfile.TemporaryDirectory(prefix="om") as folder:
        front = Front(folder, host)
        if backends:
            await front.start_backends()
        splicer = front.splicer = Splicer(front.backends)
        listeners = open_listeners(host or "127.0.0.1", 0)
        front.port = listeners[0].getsockname()[1]
        acceptors = [Acceptor(listener, splicer.take) for listener in listeners]
        try:
            yield front
        finally:
            for acceptor in acceptors:
                acceptor.close()
            splicer.close()
            if backends:
                front.web_server.close()
                await front.grpc_server.stop(0)


def run(story, **options):
    async def whole():
        async with a_front(**options) as front:
            await asyncio.wait_for(story(front), 30)

    asyncio.run(whole())


async def request(front, *pieces, pause_s=0.0):
    reader, writer = await front.open()
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_http_and_grpc_share_the_port_and_the_address_is_seen(host):
    async def story(front):
        answer = await request(front, b"GET /x HTTP/1.0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"GET /x HTTP/1.0\r\n\r\n")
        assert await front.dial() is grpc.StatusCode.DATA_LOSS
        assert front.web.peers == [host]
        assert front.gateway.peers == [host]

    run(story, host=host)


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PROPFIND", b"G"])
def test_request_that_dribbles_in_is_told_apart_from_the_preface(method):
    async def story(front):
        text = method + b" / HTTP/1.0\r\n\r\n"
        pieces = [text[i : i + 1] for i in range(4)] + [text[4:]]
        assert (await request(front, *pieces, pause_s=0.02)).startswith(b"HTTP/1.1 200 OK")

    run(story)


def test_preface_that_dribbles_in_reaches_the_gateway():
    async def story(front):
        reader, writer = await front.open()
        for piece in (b"P", b"R", b"I * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\4\0\0\0\0\0"):
            writer.write(piece)
            await asyncio.sleep(0.02)
        settings = await reader.readexactly(9)
        assert settings[3] == 4  # an HTTP/2 SETTINGS frame
        writer.close()

    run(story)


def test_large_bodies_arrive_whole_although_both_sides_are_slow():
    async def story(front):
        body = os.urandom(8 * 1024 * 1024)
        reader, writer = await front.open()
        writer.write(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.5)  # the answer waits for us
        received = bytearray()
        while piece := await reader.read(300_000):
            received += piece
            await asyncio.sleep(0)
        assert received.endswith(body)
        writer.close()
        await settled(front)

    run(story)


def test_client_that_ends_its_side_still_gets_the_answer():
    async def story(front):
        reader, writer = await front.open()
        writer.write(b"GET /half HTTP/1.0\r\n\r\n")
        writer.write_eof()
        assert b"/half" in await reader.read()
        writer.close()
        await settled(front)

    run(story)


def test_client_that_vanishes_amid_an_answer_leaves_nothing_open():
    async def story(front):
        _, writer = await front.open()
        writer.write(b"POST / HTTP/1.0\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000))
        await asyncio.sleep(0.2)
        writer.transport.abort()
        await settled(front)

    run(story)


def test_without_backends_http_gets_503_and_grpc_is_closed():
    async def story(front):
        answer = await request(front, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After" in answer
        assert await front.dial() is grpc.StatusCode.UNAVAILABLE
        await front.start_backends()
        assert (await request(front, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        front.web_server.close()
        await front.grpc_server.stop(0)

    run(story, backends=False)


def test_client_that_says_nothing_is_closed_after_the_limit(monkeypatch):
    monkeypatch.setattr(splice, "FIRST_BYTES_LIMIT_S", 0.2)

    async def story(front):
        reader, writer = await front.open()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await settled(front)

    run(story)


@contextlib.asynccontextmanager
async def answered_without_end(front, first, *, room_bytes=4096):
    """A client that has sent this, and both backends send for as long as somebody takes it."""

    async def send(_, writer):
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(bytes(100_000))
                await writer.drain()

    backends = (front.backends.web, front.backends.gateway)
    servers = [await asyncio.start_unix_server(send, backend) for backend in backends]
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room_bytes)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", front.port))
        await loop.sock_sendall(client, first)
        yield client
    for server in servers:
        server.close()
    await settled(front)


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"])
def test_client_that_takes_nothing_any_more_is_let_go_after_the_limit(monkeypatch, first):
    monkeypatch.setattr(way, "STALL_LIMIT_S", 0.5)

    async def story(front):
        async with answered_without_end(front, first):
            await asyncio.sleep(0.2)
            assert front.splicer.connections
            await asyncio.wait_for(settled(front), 5)

    run(story, backends=False)


def test_client_that_takes_a_little_now_and_then_is_let_go_after_the_limit(monkeypatch):
    monkeypatch.setattr(way, "STALL_LIMIT_S", 0.5)

    async def story(front):
        async with answered_without_end(front, b"GET / HTTP/1.1\r\n\r\n") as client:
            for _ in range(100):
                await asyncio.sleep(0.05)
                if not front.splicer.connections:
                    break
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    client.recv(100)
            assert not front.splicer.connections

    run(story, backends=False)


def test_client_that_takes_slowly_but_on_is_served_on(monkeypatch):
    monkeypatch.setattr(way, "STALL_LIMIT_S", 0.5)

    async def story(front):
        loop = asyncio.get_running_loop()
        async with answered_without_end(front, b"GET / HTTP/1.1\r\n\r\n", room_bytes=262_144) as client:
            taken, until_s = 0, loop.time() + 2
            while loop.time() < until_s:
                taken += len(await loop.sock_recv(client, 65_536))
                await asyncio.sleep(0.01)
            assert taken > 1_000_000
            assert front.splicer.connections

    run(story, backends=False)


def test_backend_that_takes_nothing_any_more_ends_the_connection_after_the_limit(monkeypatch):
    monkeypatch.setattr(way, "STALL_LIMIT_S", 0.5)

    async def story(front):
        held = []
        server = await asyncio.start_unix_server(lambda _, writer: held.append(writer), front.backends.web, limit=1_024)
        _, writer = await front.open()
        writer.write(b"POST / HTTP/1.1\r\n\r\n" + bytes(8_000_000))
        await asyncio.sleep(0.2)
        assert front.splicer.connections
        await asyncio.wait_for(settled(front), 5)
        for each in (writer, *held):
            each.transport.abort()
        server.close()

    run(story, backends=False)


def test_many_short_connections_at_once_are_all_answered():
    async def story(front):
        answers = await asyncio.gather(*(request(front, b"GET / HTTP/1.0\r\n\r\n") for _ in range(500)))
        assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)
        await settled(front)

    run(story)


async def settled(front):
    """Wait until no connection is left."""
    while front.splicer.connections:  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0.02)

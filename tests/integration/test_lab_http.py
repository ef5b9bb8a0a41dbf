"""The rack's HTTP server on real sockets."""

import asyncio
import contextlib
import gc
import socket
import ssl

import pytest

from lab.http import HttpServer, NoAnswer, Response
from lab.omni.certificates import make_certificate, server_context

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("turns", range(6))
def test_stop_amid_new_connections_leaves_none_open(turns):
    async def answer(request):
        return Response.text(request.path)

    async def story():
        server = HttpServer(answer)
        port = await server.serve()
        clients = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(5)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.stop()
        return clients

    loop = asyncio.new_event_loop()
    clients = loop.run_until_complete(story())
    loop.close()
    gc.collect()  # an open transport warns here, and a warning fails the test
    for client in clients:
        with client, contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_connection_that_the_handler_drops_ends_without_an_answer():
    async def answer(request):
        raise NoAnswer

    async def story():
        server = HttpServer(answer)
        reader, writer = await asyncio.open_connection("127.0.0.1", await server.serve())
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        try:
            return await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
            await server.stop()

    assert asyncio.run(story()) == b""


def client_context():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def soon(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


async def peer(request):
    if request.path == "/none":
        raise NoAnswer
    return Response.text(request.peer)


def over_tls(story):
    """Run a story(server, connect) against a server with TLS; connect gives a reader and a writer."""

    async def run():
        gone = []
        server = HttpServer(peer, gone.append)
        port = await server.serve(tls=server_context(make_certificate("127.0.0.1"), "http/1.1"))

        async def connect(*, shake_hands=True):
            context = client_context() if shake_hands else None
            return await asyncio.open_connection("127.0.0.1", port, ssl=context)

        try:
            return await story(server, connect), gone
        finally:
            await server.stop()

    with asyncio.Runner() as runner:
        answer = runner.run(run())
    gc.collect()  # an open transport warns here, and a warning fails the test
    return answer


def test_requests_over_tls_share_a_connection_whose_end_is_told():
    async def story(server, connect):
        reader, writer = await connect()
        writer.write(b"GET /a HTTP/1.1\r\n\r\n" + b"GET /b HTTP/1.1\r\nConnection: close\r\n\r\n")
        name = "{}:{}".format(*writer.get_extra_info("sockname"))
        answers = await reader.read()
        writer.close()
        await soon(lambda: not server.connections)
        return name, answers

    (name, answers), gone = over_tls(story)
    assert answers.count(name.encode()) == 2
    assert name in gone


def test_what_is_no_request_is_answered_over_tls():
    async def story(_, connect):
        reader, writer = await connect()
        writer.write(b"hello\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    answer, _ = over_tls(story)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_no_answer_cuts_the_connection():
    async def story(_, connect):
        reader, writer = await connect()
        writer.write(b"GET /none HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        return True

    assert over_tls(story)[0]


def test_stop_ends_a_connection_amid_its_handshake():
    async def story(server, connect):
        reader, writer = await connect(shake_hands=False)
        await soon(lambda: server.connections)
        await server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        return len(server.connections)

    assert over_tls(story)[0] == 0


def test_plain_request_on_a_port_of_tls_ends_the_connection():
    async def story(server, connect):
        reader, writer = await connect(shake_hands=False)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in await reader.read()
        writer.close()
        await soon(lambda: not server.connections)
        return True

    assert over_tls(story)[0]

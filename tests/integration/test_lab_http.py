"""The rack's HTTP server on real sockets."""

import asyncio
import contextlib
import gc
import socket

import pytest

from lab.http import HttpServer, NoAnswer, Response

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

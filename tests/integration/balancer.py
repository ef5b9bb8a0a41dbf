"""A load balancer before several public ports: a new connection goes to the one that has the fewest and takes it."""

import asyncio
import contextlib
import threading
from collections import Counter


class Balancer:
    """Use as a context manager; `ports` are (host, port) of those behind it."""

    def __init__(self, host, port, backends):
        self._where = host, port
        self._backends = backends
        self._open = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="balancer", daemon=True)
        self._connections = set()

    def __enter__(self):
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._take, *self._where))
        return self

    def __exit__(self, *_):
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _stop(self):
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _take(self, reader, writer):
        connection = asyncio.current_task()
        self._connections.add(connection)
        try:
            for backend in sorted(self._backends, key=self._open.__getitem__):
                # Counted before it is open: others choose meanwhile.
                self._open[backend] += 1
                try:
                    with contextlib.suppress(OSError):
                        there = await asyncio.open_connection(*backend)
                        await _carry((reader, writer), there)
                        break
                finally:
                    self._open[backend] -= 1
        except asyncio.CancelledError:
            pass  # asyncio would report it as an accident
        finally:
            self._connections.discard(connection)
            writer.close()


async def _carry(here, there):
    ways = [asyncio.ensure_future(way) for way in (_copy(here[0], there[1]), _copy(there[0], here[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        there[1].close()


async def _copy(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()

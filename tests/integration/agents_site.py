"""A gateway, virtual agents and a worker's client on a real Redis, in one event loop."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import redis
import redis.asyncio

from app.agents.client import GatewayClient, WipeTicket
from app.agents.gateway import Addresses, Gateway
from app.bundled_redis import server_binary
from app.front.listen import Acceptor, open_listeners
from app.front.splice import Backends, Splicer
from app.state.agents import AgentLookup, AgentRegistry
from lab.agent import AgentRefusal, LabAgent, TunnelEnded
from lab.agent_calls import IpmiAddress

TOKEN = "token-of-a-test"


class Machine:
    """What an agent runs on; counts what is asked of it."""

    def __init__(self, machine_id=None, wipe_s=0.0):
        self.id = machine_id or str(uuid.uuid4())
        self.wipe_s = wipe_s
        self.wipes_begun = self.wipes_done = self.wipes_cancelled = 0
        self.refusal = None
        self.hangs = False
        self.power = None
        self.login = ...
        self.hellos = 0

    async def hello(self):
        self.hellos += 1
        if self.hangs:
            await asyncio.Event().wait()

    async def get_power_management(self):
        return self.power

    async def set_power_management(self, login):
        self.login = login

    async def wipe_disks(self, zeroes):
        self.wipes_begun += 1
        if self.refusal:
            raise AgentRefusal(*self.refusal)
        try:
            await asyncio.sleep(self.wipe_s)
        except asyncio.CancelledError:
            self.wipes_cancelled += 1
            raise
        self.wipes_done += 1


class RedisServer:
    """A real server on a unix socket, which can be stopped and started empty."""

    def __init__(self, folder):
        self.socket = Path(folder) / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._process = None

    def start(self):
        command = [
            server_binary(),
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--save",
            "",
            "--loglevel",
            "warning",
        ]
        self._process = subprocess.Popen(command, cwd=self.socket.parent, stdout=subprocess.DEVNULL)
        client = redis.Redis.from_url(self.url)
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(redis.RedisError):
                client.ping()
                break
            assert time.monotonic() < deadline, "no Redis"
            time.sleep(0.02)
        client.close()

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)


@contextlib.contextmanager
def redis_server():
    with tempfile.TemporaryDirectory(prefix="om") as folder:
        server = RedisServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


class Site:
    """One gateway with its agents. Agents dial its unix socket directly: the splice has tests of its own."""

    def __init__(self, server, folder, token=TOKEN, *, tls_served=False):
        self.server = server
        self.socket = Path(folder) / f"gateway-{os.urandom(3).hex()}.sock"
        self.sync_redis = redis.Redis.from_url(server.url)
        self.async_redis = redis.asyncio.Redis.from_url(server.url)
        self.addresses = Addresses(self.socket, "127.0.0.1:0", tls_served=tls_served)
        self.gateway = Gateway(AgentRegistry(self.async_redis), token, self.addresses)
        self.client = GatewayClient(self.sync_redis, TOKEN, call_timeout_s=5.0)
        self.lookup = AgentLookup(self.sync_redis)
        self.agents = set()

    def dial(self, machine, *, address=None, **options):
        """Run an agent for a machine; the answer is its task."""
        agent = LabAgent(address or f"unix:{self.socket}", machine.id, machine, **options)
        task = asyncio.ensure_future(self._serve(agent))
        task.agent = agent
        self.agents.add(task)
        return task

    @staticmethod
    async def _serve(agent):
        try:
            await agent.serve()
        except TunnelEnded as error:
            return str(error)

    async def connect(self, machine, **options):
        """Run an agent and wait until the registry knows that it answered."""
        task = self.dial(machine, **options)
        await eventually(lambda: self.greeted(machine) and task.agent.open)
        return task

    def greeted(self, machine):
        return int(self.sync_redis.hget(f"om:agent:{machine.id}", "hello_ms") or 0) > 0

    async def start_again(self):
        """Another gateway in the place of one that was stopped."""
        self.gateway = Gateway(AgentRegistry(self.async_redis), TOKEN, self.addresses)
        await self.gateway.start()

    async def wipe(self, machine, wipe_id="w1", *, version="", fence=1, timeout_s=10.0, client=None):
        ticket = WipeTicket(wipe_id, 1, "token", version)
        return await asyncio.to_thread(
            (client or self.client).wipe, machine.id, ticket, zeroes=False, timeout_s=timeout_s, fence=fence
        )


async def eventually(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {timeout_s} s"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def a_site(server, **options):
    with tempfile.TemporaryDirectory(prefix="om") as folder:
        site = Site(server, folder, **options)
        await site.gateway.start()
        try:
            yield site
        finally:
            site.client.close()
            await site.gateway.stop()
            for task in site.agents:
                task.cancel()
            await asyncio.gather(*site.agents, return_exceptions=True)
            await site.async_redis.aclose()
            site.sync_redis.close()


@contextlib.contextmanager
def way_from(site, address):
    """A place to dial, behind which the site's gateway sees an agent at this address."""
    splicer = Splicer(Backends(web=site.socket, gateway=site.socket))
    [listener] = open_listeners("127.0.0.1", 0)
    acceptor = Acceptor(listener, lambda client, _: splicer.take(client, address))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        acceptor.close()
        splicer.close()


IPMI = IpmiAddress("192.0.2.7", 623)

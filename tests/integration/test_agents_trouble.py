"""What agents, gateways and Redis do to each other when one of them goes away."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from app.agents import presence
from app.agents.errors import AgentGone
from app.front.listen import Acceptor, open_listeners
from app.front.splice import Backends, Splicer
from tests.integration.agents_site import Machine, a_site, eventually, redis_server

pytestmark = pytest.mark.integration

AGENT_PROGRAM = """
import asyncio, sys
from lab.agent import LabAgent
from tests.integration.agents_site import Machine
asyncio.run(LabAgent(sys.argv[1], sys.argv[2], Machine(wipe_s=600)).run())
"""


@pytest.fixture
def server():
    with redis_server() as running:
        yield running


def run(server, story):
    async def whole():
        async with a_site(server) as site:
            await story(site)

    asyncio.run(whole())


class RemoteAgent:
    """An agent in a process of its own, which can be frozen and killed."""

    def __init__(self, address):
        self.id = str(uuid.uuid4())
        self.process = subprocess.Popen(
            [sys.executable, "-c", AGENT_PROGRAM, address, self.id], cwd=Path(__file__).parents[2]
        )

    def end(self):
        self.process.kill()
        self.process.wait()


def test_agent_killed_amid_a_wipe_fails_it_at_once(server):
    async def story(site):
        agent = RemoteAgent(f"unix:{site.socket}")
        try:
            await eventually(lambda: site.greeted(agent))
            wipe = asyncio.ensure_future(site.wipe(agent, timeout_s=60))
            await asyncio.sleep(0.3)
            assert await asyncio.to_thread(site.client.wipe_running, agent.id)
            agent.process.kill()
            began = time.monotonic()
            with pytest.raises(AgentGone):
                await wipe
            assert time.monotonic() - began < 2
        finally:
            agent.end()

    run(server, story)


def test_frozen_agent_is_dropped_within_thirty_seconds_through_the_public_port(server):
    async def story(site):
        splicer = Splicer(Backends(web=site.socket, gateway=site.socket))
        [listener] = open_listeners("127.0.0.1", 0)
        acceptor = Acceptor(listener, splicer.take)
        agent = RemoteAgent(f"http://127.0.0.1:{listener.getsockname()[1]}")
        try:
            await eventually(lambda: site.greeted(agent))
            assert site.sync_redis.hget(f"om:agent:{agent.id}", "tunnel") == b"127.0.0.1"
            wipe = asyncio.ensure_future(site.wipe(agent, timeout_s=90))
            await asyncio.sleep(0.3)
            agent.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(AgentGone):
                await wipe
            assert time.monotonic() - began < 30
            await eventually(lambda: site.lookup.find(agent.id) is None)
        finally:
            agent.end()
            acceptor.close()
            splicer.close()

    run(server, story)


def test_redis_that_goes_away_empty_stops_neither_tunnels_nor_wipes(server, monkeypatch):
    monkeypatch.setattr(presence, "RENEW_EVERY_S", 0.2)

    async def story(site):
        machine, newcomer = Machine(wipe_s=1.5), Machine()
        agent = await site.connect(machine)
        number = site.lookup.find(machine.id)[2]
        wipe = asyncio.ensure_future(site.wipe(machine))
        await eventually(lambda: machine.wipes_begun == 1)
        server.stop()
        arriving = site.dial(newcomer)
        await eventually(lambda: newcomer.hellos > 0)
        await asyncio.sleep(0.5)
        server.start()
        await eventually(lambda: site.greeted(machine) and site.greeted(newcomer))
        assert site.lookup.find(machine.id)[2] == number
        await wipe
        assert (machine.wipes_done, machine.wipes_cancelled) == (1, 0)
        assert not agent.done()
        assert not arriving.done()

    run(server, story)


def test_gateway_told_to_end_waits_for_a_short_wipe_and_tells_its_end(server):
    async def story(site):
        machine = Machine(wipe_s=1.0)
        agent = await site.connect(machine)
        wipe = asyncio.ensure_future(site.wipe(machine))
        await eventually(lambda: machine.wipes_begun == 1)
        began = time.monotonic()
        await site.gateway.stop()
        assert time.monotonic() - began < 8
        assert (await wipe).wipe_id == "w1"
        assert "stopping" in await agent
        assert site.lookup.find(machine.id) is None
        await site.gateway.start()

    run(server, story)


GATEWAY_PROGRAM = """
import sys
from pathlib import Path
from app.agents.main import run
from config.settings import Settings
run(Settings(omni_api_endpoint="http://127.0.0.1:1", api_advertise_address="127.0.0.1", redis_url=sys.argv[1],
    state_dir=Path(sys.argv[2]), gateway_listen=sys.argv[3], service_account_key="k"))
"""


def start_gateway(server, state_dir, listen="127.0.0.1:0"):
    return subprocess.Popen(
        [sys.executable, "-c", GATEWAY_PROGRAM, server.url, str(state_dir), listen],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )


def test_process_ends_within_ten_seconds_and_cancels_a_long_wipe_at_the_agent(server):
    async def story(site):
        with tempfile.TemporaryDirectory(prefix="om") as state_dir:
            process = start_gateway(server, state_dir)
            site.socket = Path(state_dir) / "run" / "gateway.sock"
            machine = Machine(wipe_s=600)
            try:
                await eventually(site.socket.exists)
                agent = await site.connect(machine)
                tunnel = site.lookup.find(machine.id)
                wipe = asyncio.ensure_future(site.wipe(machine, client=client_of(site), timeout_s=900))
                await eventually(lambda: machine.wipes_begun == 1)
                process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                with pytest.raises(AgentGone):
                    await wipe
                await asyncio.to_thread(process.wait, 10)
                assert time.monotonic() - began < 9
                assert process.returncode == 0
                await agent
                assert machine.wipes_cancelled == 1
                assert tunnel is not None
                assert site.lookup.find(machine.id) is None
            finally:
                process.kill()
                process.communicate()

    run(server, story)


def client_of(site):
    from app.agents.client import GatewayClient
    from app.state.secrets import gateway_token
    from config.settings import Settings

    token = gateway_token(Settings(omni_api_endpoint="http://127.0.0.1:1", service_account_key="k"))
    return GatewayClient(site.sync_redis, token)


def test_port_of_the_internal_listener_in_use_is_said_with_its_remedy(server):
    [listener] = open_listeners("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="om") as state_dir:
        process = start_gateway(server, state_dir, f"127.0.0.1:{port}")
        _, words = process.communicate(timeout=20)
    listener.close()
    assert process.returncode == 1
    assert f"port {port} is in use" in words
    assert str(os.getpid()) in words
    assert "--gateway-listen" in words
    assert len(words.strip().splitlines()) == 1

"""The port of TLS: who gets in, who does not, and what happens to tunnels when certificates change."""

import asyncio
import contextlib
import gc
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from app.agents import session
from app.front import handshake, tls_port
from app.front.certificates import FromAuthority, FromFiles
from app.front.handshake import TlsDoor
from app.front.listen import Acceptor, open_listeners
from app.front.splice import Backends, Splicer
from app.front.tls_port import serving
from app.state import metrics
from app.tls.authority import make_authority
from config.settings import Settings
from lab.tls import TlsRefused, Trust, over_tls
from tests.integration.agents_site import Machine, Site, a_site, eventually, redis_server
from tests.unit.tls.certificates import make

pytestmark = pytest.mark.integration

DAY_S = 86_400.0


class Source:
    """Where the authority is told."""

    def __init__(self, authority=None):
        self.known = authority

    def authority(self):
        return self.known


@dataclass
class Door:
    """A TLS port in front of a real gateway."""

    site: Site
    source: "Source"
    port: int
    splicer: Splicer
    door: TlsDoor
    certificates: FromAuthority | FromFiles

    @property
    def address(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def trust(self):
        return Trust(self.source.known.certificate)

    def dial(self, machine, trust=None):
        return self.site.dial(machine, address=self.address, trust=trust or self.trust)

    async def connect(self, machine, trust=None):
        return await self.site.connect(machine, address=self.address, trust=trust or self.trust)

    async def shown(self):
        """The certificate that a new client is shown."""
        context = Trust(skip_verify=True).context()
        _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return found

    async def until_shown(self, wanted):
        while not wanted(await self.shown()):  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.05)

    async def open(self):
        return await asyncio.open_connection("127.0.0.1", self.port)


@contextlib.asynccontextmanager
async def a_door(server, source=None, *, certificates=None, life_s=DAY_S, address="127.0.0.1"):
    source = source or Source(make_authority(DAY_S, datetime.now(UTC)))
    settings = Settings(api_advertise_address=address, tls_enabled=True, tls_cert_ttl_s=life_s)
    certificates = certificates or FromAuthority(settings, source)
    async with a_site(server, tls_served=True) as site:
        splicer = Splicer(Backends(web=site.socket, gateway=site.socket))
        listeners = open_listeners("127.0.0.1", 0)
        with serving(certificates, splicer, listeners) as door:
            found = Door(site, source, listeners[0].getsockname()[1], splicer, door, certificates)
            if source.known:
                await eventually(lambda: certificates.context)
            try:
                yield found
            finally:
                splicer.close()


@pytest.fixture(scope="module")
def server():
    with redis_server() as running:
        yield running


def run(server, story, **options):
    async def whole():
        async with a_door(server, **options) as door:
            await asyncio.wait_for(story(door), 60)

    asyncio.run(whole())


def test_agent_that_trusts_our_ca_is_served_and_its_address_is_seen(server):
    async def story(door):
        machine = Machine(wipe_s=0.05)
        await door.connect(machine)
        await door.site.wipe(machine)
        assert machine.wipes_done == 1
        (session,) = door.site.gateway._presence._held.values()
        assert session.address == "127.0.0.1"

    run(server, story)


def test_agent_that_trusts_another_ca_refuses_us_and_that_is_told(server, capsys):
    async def story(door):
        other = Trust(make_authority(DAY_S, datetime.now(UTC)).certificate)
        words = await door.dial(Machine(), other)
        assert "certificate" in words
        assert (await door.dial(Machine(), Trust())).startswith("TLS: ")
        await eventually(lambda: not door.door.handshakes)
        assert not door.splicer.connections

    run(server, story)
    assert "the client ended it; it may not trust our certificate" in said(capsys)


def test_refusal_of_our_certificate_that_is_told_is_passed_on(server, capsys):
    async def story(door):
        def refuse():
            with (
                socket.create_connection(("127.0.0.1", door.port)) as plain,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                Trust().context().wrap_socket(plain, server_hostname="127.0.0.1")

        await asyncio.to_thread(refuse)
        await eventually(lambda: not door.door.handshakes)

    run(server, story)
    assert "the agent does not trust our certificate" in said(capsys)


def test_agent_that_comes_without_tls_is_served_with_a_warning_and_counted(server, capsys):
    async def story(door):
        plain = open_listeners("127.0.0.1", 0)[0]
        acceptor = Acceptor(plain, door.splicer.take)
        machine, other = Machine(), Machine()
        before = metrics.read(door.site.sync_redis, 0).without_tls
        await door.connect(other)
        await door.site.connect(machine, address=f"127.0.0.1:{plain.getsockname()[1]}")
        await door.site.wipe(machine)
        await eventually(lambda: metrics.read(door.site.sync_redis, 0).without_tls == before + 1)
        acceptor.close()
        lines = [line for line in said(capsys).splitlines() if "tunnel_without_tls" in line]
        assert len(lines) == 1
        assert machine.id in lines[0]

    run(server, story)


def test_agent_that_does_not_verify_is_served(server):
    async def story(door):
        await door.connect(Machine(), Trust(skip_verify=True))

    run(server, story)


def test_certificate_for_another_address_is_refused_by_the_agent(server):
    async def story(door):
        assert "IP address mismatch" in await door.dial(Machine())

    run(server, story, address="192.0.2.1")


def test_tls_1_2_is_refused(server):
    async def story(door):
        context = Trust(skip_verify=True).context()
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            await asyncio.open_connection("127.0.0.1", door.port, ssl=context)

    run(server, story)


@pytest.mark.parametrize(
    "first",
    [
        b"GET /config?u=x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"\0" * 64,
    ],
)
def test_what_is_not_tls_is_ended_at_once(server, first):
    async def story(door):
        reader, writer = await door.open()
        began_s = time.monotonic()
        writer.write(first)
        with contextlib.suppress(ConnectionResetError):
            assert not (await reader.read()).startswith(b"HTTP")
        assert time.monotonic() - began_s < 2
        writer.close()
        await eventually(lambda: not door.door.handshakes)

    run(server, story)


def test_http_over_tls_is_ended_at_once(server):
    async def story(door):
        context = Trust(skip_verify=True).context()
        context.set_alpn_protocols(["http/1.1"])
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=context)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        await eventually(lambda: not door.splicer.connections)

    run(server, story)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_handshake_that_comes_to_no_end_is_ended_and_keeps_nobody_out(server, monkeypatch, sent):
    monkeypatch.setattr(handshake, "HANDSHAKE_LIMIT_S", 0.5)

    async def story(door):
        slow = [await door.open() for _ in range(50)]
        for _, writer in slow:
            writer.write(sent)
        await eventually(lambda: len(door.door.handshakes) == 50)
        await door.connect(Machine())
        for reader, writer in slow:
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        await eventually(lambda: not door.door.handshakes)

    run(server, story)


def test_client_that_goes_away_amid_the_handshake_leaves_nothing(server):
    async def story(door):
        for _ in range(20):
            _, writer = await door.open()
            writer.write(b"\x16\x03\x01\x02\x00\x01")
            writer.transport.abort()
        await door.connect(Machine())
        await eventually(lambda: not door.door.handshakes)

    run(server, story)


def test_large_messages_arrive_whole_in_both_directions(server):
    async def story(door):
        machine = Machine()
        await door.connect(machine)
        payload = "x" * 300_000
        await asyncio.to_thread(door.site.client.set_power_management_ipmi, machine.id, "user", payload, fence=1)
        assert machine.login.password == payload

    run(server, story)


def test_certificate_is_renewed_while_a_tunnel_stands(server, monkeypatch):
    monkeypatch.setattr(tls_port, "LOOK_EVERY_S", 0.1)

    async def story(door):
        machine = Machine(wipe_s=0.01)
        task = await door.connect(machine)
        before = await door.shown()
        wiping = Machine(wipe_s=6.0)
        await door.connect(wiping)
        wipe = asyncio.ensure_future(door.site.wipe(wiping, timeout_s=30))
        seen = {before}
        while len(seen) < 3:
            seen.add(await door.shown())
            await asyncio.sleep(0.1)
        assert task.agent.open and not task.done()
        await door.site.wipe(machine)
        assert machine.wipes_done == 1
        await wipe
        assert (wiping.wipes_done, wiping.wipes_cancelled) == (1, 0)
        await door.connect(Machine())  # trusts the same CA

    run(server, story, life_s=2.0)


def test_clients_are_turned_away_until_the_authority_is_known(server, monkeypatch, capsys):
    monkeypatch.setattr(tls_port, "LOOK_WITHOUT_S", 0.1)

    async def story(door):
        with pytest.raises((TlsRefused, ConnectionError)):
            async with over_tls("127.0.0.1", door.port, Trust(skip_verify=True)):
                pass
        door.source.known = make_authority(DAY_S, datetime.now(UTC))
        await eventually(lambda: door.certificates.context)
        await door.connect(Machine())

    run(server, story, source=Source())
    assert "waiting_for_authority" in said(capsys)


def test_new_authority_is_taken_up_while_tunnels_stand(server, monkeypatch):
    monkeypatch.setattr(tls_port, "LOOK_EVERY_S", 0.1)

    async def story(door):
        old = door.trust
        task = await door.connect(Machine(), old)
        before = await door.shown()
        door.source.known = make_authority(DAY_S, datetime.now(UTC))
        await door.until_shown(lambda shown: shown != before)
        await door.connect(Machine())
        assert "certificate" in await door.dial(Machine(), old)
        assert task.agent.open

    run(server, story)


def test_authority_that_vanishes_from_redis_is_remembered(server, monkeypatch):
    monkeypatch.setattr(tls_port, "LOOK_EVERY_S", 0.1)

    async def story(door):
        trust = door.trust
        door.source.known = None
        await asyncio.sleep(1.0)
        before = await door.shown()
        await door.until_shown(lambda shown: shown != before)
        await door.connect(Machine(), trust)

    run(server, story, life_s=2.0)


def test_files_are_read_anew_when_they_change_and_bad_ones_are_not_shown(server, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tls_port, "LOOK_EVERY_S", 0.1)
    root = make("root", ca=True)
    first, second, stranger = (make(name, root, names=["127.0.0.1"]) for name in ("first", "second", "stranger"))
    certificate, key = first.write(tmp_path, "leaf")
    settings = Settings(
        api_advertise_address="127.0.0.1", tls_enabled=True, tls_cert_file=certificate, tls_key_file=key
    )

    async def story(door):
        trust = Trust(root.pem.decode())
        task = await door.connect(Machine(), trust)
        assert await door.shown() == der(first)
        key.write_bytes(stranger.key_pem())
        await eventually(lambda: "certificate_files_bad" in said(capsys))
        assert await door.shown() == der(first)
        second.write(tmp_path, "leaf")
        await door.until_shown(lambda shown: shown == der(second))
        await door.connect(Machine(), trust)
        assert task.agent.open

    run(server, story, source=Source(make_authority(1, datetime.now(UTC))), certificates=FromFiles(settings))


def der(made):
    return ssl.PEM_cert_to_DER_cert(made.pem.decode())


def said(capsys):
    found = capsys.readouterr()
    return found.out + found.err


def test_gateway_that_restarts_ends_its_tunnels_and_agents_come_back(server):
    async def story(door):
        machine = Machine()
        task = await door.connect(machine)
        await door.site.gateway.stop()
        assert await asyncio.wait_for(task, 20)
        assert await asyncio.wait_for(door.dial(machine), 20)
        await door.site.start_again()
        await door.connect(machine)

    run(server, story)


def test_many_agents_at_once_are_all_served(server):
    async def story(door):
        machines = [Machine() for _ in range(100)]
        await asyncio.gather(*(door.connect(machine) for machine in machines))
        assert len(door.splicer.connections) == 100

    run(server, story)


def test_frozen_agent_is_let_go_of(server, monkeypatch):
    monkeypatch.setattr(session, "GREETING_PAUSE_S", 0.5)
    monkeypatch.setattr(session, "GREETING_LIMIT_S", 1.0)

    async def story(door):
        machine = Machine()
        task = await door.connect(machine)
        machine.hangs = True
        assert await asyncio.wait_for(task, 20)
        await eventually(lambda: not door.splicer.connections)

    run(server, story)


def test_nothing_is_left_open(server):
    async def story(door):
        task = await door.connect(Machine())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await eventually(lambda: not door.splicer.connections)

    run(server, story)
    gc.collect()  # a socket that was not closed would warn here

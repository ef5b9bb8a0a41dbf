"""The TFTP server on loopback: what clients get, what they may do to it, and what is left of it."""

import contextlib
import os
import random
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.children import wait_until
from tests.integration.tftp_place import BIG, FILES, SMALL, TftpPlace
from tests.netboot_clients.tftp import DATA, OPTIONS_ACK, Refused, TftpClient, ack, error_of, kind_of, read_request
from tests.netboot_clients.tftp_faults import FAULTS, commit

pytestmark = pytest.mark.integration

WAYS = {"own ports": (), "single port": ("--single-port",)}
# A good client's two kilobytes take milliseconds alone, and more where four processes share two cores.
AT_ONCE_S = 5.0
# A client that never answers is given up after three seconds, and a hundred of one address need three turns.
GIVEN_UP_S = 60
# The same for one turn, where four processes share two cores.
ONE_TURN_S = 10
# Python's allocator may take this much for what it has seen; a leak of 200 bytes a datagram would be more.
RSS_BOUND_KIB = 1024
DATAGRAMS = 6000
PROBE = ("tsize", "0", "blksize", "1468")


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def place(request, tmp_path_factory):
    with TftpPlace(tmp_path_factory.mktemp("tftp"), *request.param) as running:
        yield running


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def own_place(request, tmp_path):
    with TftpPlace(tmp_path, *request.param) as running:
        yield running


def fetch(place, name="small.bin", *options, own="127.0.0.1", timeout_s=AT_ONCE_S):
    with TftpClient(place.server, own, timeout_s) as client:
        return client.fetch(name, *options)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("options", [(), PROBE, ("blksize", "8", "timeout", "2")])
def test_file_arrives_whole(place, name, options):
    if "8" in options and len(FILES[name]) > 10_000:
        options = ("blksize", "1024")
    assert fetch(place, name, *options) == FILES[name]


def test_answers_come_from_where_they_are_to(place):
    with TftpClient(place.server) as client:
        client.ask(read_request("small.bin"))
        packet, peer = client.answer()
    single = "--single-port" in place._command
    assert kind_of(packet) == DATA
    assert (peer[1] == place.port) == single


def test_size_is_told_and_the_file_comes_after_the_question(place):
    with TftpClient(place.server) as client:
        client.ask(read_request("big.bin", *PROBE))
        packet, peer = client.answer()
        assert packet == b"\0\6tsize\0001048576\0blksize\0001468\0"
        client.socket.sendto(b"\0\5\0\10User aborted the transfer\0", peer)
        # The same request from the same port: no repetition, although the first child may not have ended yet.
        assert client.fetch("big.bin", *PROBE) == BIG
    assert [line for line in place.lines("tftp_unfinished") if line["name"] == "big.bin"] == []


@pytest.mark.parametrize("name", FAULTS)
def test_good_client_is_served_at_once_after(place, name):
    commit(FAULTS[name], place.server)
    assert fetch(place) == SMALL
    assert place.trouble() == []


def test_memory_is_as_before_after_floods_of_nonsense(own_place):
    chance = random.Random(7)
    words = [b"small.bin", b"octet", b"blksize", b"timeout", b"1", b"-1", b"\xff", b"", b"\0"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.3", 0))

        def flood(number):
            for _ in range(number):
                kind = chance.choice([b"\0\1", b"\0\2", b"\0\3", b"\0\4", b"\0\5", b"\0\6", b"\1\0", b"\0", b""])
                rest = b"\0".join(chance.choices(words, k=chance.randrange(9))) + chance.randbytes(chance.randrange(9))
                stranger.sendto(kind + rest, own_place.server)
                if chance.random() < 0.02:
                    fetch(own_place, own="127.0.0.4")

        flood(DATAGRAMS // 4)
        before_kib = own_place.rss_kib()
        flood(DATAGRAMS)
    assert fetch(own_place, own="127.0.0.4") == SMALL
    assert own_place.rss_kib() - before_kib < RSS_BOUND_KIB
    assert own_place.trouble() == []


def test_one_address_leaves_room_for_others_and_silence_ends_each(own_place):
    clients = [TftpClient(own_place.server, "127.0.0.2") for _ in range(100)]
    for client in clients:
        client.ask(read_request("small.bin"))
    wait_until(lambda: len(own_place.children()) == 48)
    assert fetch(own_place) == SMALL
    assert len(own_place.children()) <= 64
    for client in clients:
        client.socket.close()
    wait_until(lambda: not own_place.children() and not own_place.zombies(), GIVEN_UP_S)
    assert fetch(own_place) == SMALL


def test_silent_clients_of_two_addresses_hold_all_places_for_seconds_only(own_place):
    with contextlib.ExitStack() as clients:
        for own, number in (("127.0.0.2", 48), ("127.0.0.3", 16)):
            for _ in range(number):
                client = clients.enter_context(TftpClient(own_place.server, own))
                client.ask(read_request("small.bin", "timeout", "5"))
        wait_until(lambda: len(own_place.children()) == 64)
        assert fetch(own_place, timeout_s=ONE_TURN_S) == SMALL


def test_machine_that_is_reset_within_a_transfer_is_served_again_at_the_same_port(own_place):
    request = read_request("big.bin", "blksize", "1024", "timeout", "5")
    with TftpClient(own_place.server, timeout_s=AT_ONCE_S) as client:
        client.ask(request)
        packet, first = client.answer()
        for number in range(4):
            client.socket.sendto(ack(number), first)
            packet, _ = client.answer()
        assert packet[:4] == b"\0\3\0\4"
        time.sleep(1.5)  # less than any firmware needs
        client.ask(request)
        while kind_of(packet) == DATA:
            packet, second = client.answer()
        assert kind_of(packet) == OPTIONS_ACK
        client.socket.sendto(ack(0), second)
        assert client.answer() == (b"\0\3\0\1" + BIG[:1024], second)
        assert len(own_place.children()) == 1
    [ended] = own_place.lines("tftp_unfinished")
    assert ended["reason"] == "the client began anew"


def test_system_that_makes_no_process_for_a_while_costs_nothing_after(own_place):
    assert fetch(own_place) == SMALL
    wait_until(lambda: not own_place.children() and not own_place.zombies())
    before = own_place.open_files()
    own_place.process.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    with TftpClient(own_place.server) as client:
        for number in range(80):
            client.ask(read_request("small.bin" if number % 2 else "big.bin"))
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.answer()
    wait_until(lambda: own_place.lines("tftp_cannot_begin"))
    assert own_place.open_files() == before
    own_place.process.send_signal(signal.SIGUSR2)
    assert fetch(own_place) == SMALL


def test_repeated_request_is_one_transfer(own_place):
    with TftpClient(own_place.server) as client:
        for _ in range(30):
            client.ask(read_request("small.bin", "blksize", "512"))
        assert kind_of(client.answer()[0]) == OPTIONS_ACK
        time.sleep(0.5)
        assert len(own_place.children()) == 1


def test_other_file_from_the_same_port_takes_the_place_of_the_first(own_place):
    with TftpClient(own_place.server) as client:
        client.ask(read_request("big.bin"))
        assert kind_of(client.answer()[0]) == DATA
        assert client.fetch("small.bin") == SMALL
    [ended] = own_place.lines("tftp_unfinished")
    assert (ended["name"], ended["reason"]) == ("big.bin", "the client asked for another file")


def test_strangers_do_not_disturb_a_transfer(place):
    with TftpClient(place.server) as client, TftpClient(place.server, "127.0.0.9") as stranger:
        client.ask(read_request("small.bin"))
        block, peer = client.answer()
        for packet in (b"", b"\0", ack(1), b"\0\5\0\0stop\0", os.urandom(100)):
            stranger.socket.sendto(packet, peer)
        client.socket.sendto(ack(1), peer)
        assert client.answer()[0][:4] == b"\0\3\0\2"
    assert block[4:] == SMALL[:512]


def test_lost_packet_is_repeated(place):
    with TftpClient(place.server, timeout_s=5) as client:
        client.ask(read_request("small.bin"))
        first, peer = client.answer()
        assert client.answer() == (first, peer)


def test_many_clients_at_once_all_get_their_file(place):
    with ThreadPoolExecutor(60) as pool:
        fetched = list(pool.map(lambda _: fetch(place, "big.bin", "blksize", "1428", timeout_s=30) == BIG, range(60)))
    assert fetched == [True] * 60


def test_what_was_sent_is_logged(own_place):
    fetch(own_place, "/../amd64/snp.efi")
    [sent] = wait_until(lambda: own_place.lines("tftp_sent"))
    assert (sent["name"], sent["bytes"], sent["address"]) == ("amd64/snp.efi", 3, "127.0.0.1")
    assert 0 <= sent["seconds"] < AT_ONCE_S


def test_what_was_refused_is_logged_without_escape_codes(own_place):
    with pytest.raises(Refused):
        fetch(own_place, "\x1b[2J" + "a" * 200)
    [refused] = own_place.lines("tftp_refused")
    assert refused["reason"] == "file not found"
    assert refused["name"] == "\\x1b[2J" + "a" * 53


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_in_the_middle_ends_all_and_tells_the_counts(own_place, number):
    fetch(own_place)
    with TftpClient(own_place.server) as client:
        client.ask(read_request("big.bin"))
        client.answer()
        children = own_place.children()
        assert children
        status, took_s = own_place.stop(number)
    assert (status, took_s < 2) == (0, True)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    [counts] = own_place.lines("tftp_stopped")
    assert (counts["sent"], counts["unfinished"]) == (1, 1)
    assert own_place.trouble() == []


def test_killed_server_leaves_no_child(own_place):
    with TftpClient(own_place.server) as client:
        client.ask(read_request("big.bin"))
        client.answer()
        children = own_place.children()
        own_place.process.kill()
        own_place.process.wait()
    assert children
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def test_child_has_neither_rights_nor_handlers_nor_ports_of_its_parent(tmp_path):
    with TftpPlace(tmp_path) as running, TftpClient(running.server) as client:
        client.ask(read_request("big.bin"))
        client.answer()
        [child] = running.children()
        status = dict(line.split(":\t") for line in Path(f"/proc/{child}/status").read_text().splitlines())
        caught, ours = int(status["SigCgt"], 16), (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        assert not any(caught & 1 << number - 1 for number in ours)
        assert int(status["CapEff"], 16) == 0
        assert not sockets_of(child) & sockets_of(running.process.pid)


def sockets_of(pid):
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return {link for link in links if link.startswith("socket:")}


def test_child_that_is_killed_is_told_of_and_disturbs_nobody(own_place):
    with TftpClient(own_place.server) as client:
        client.ask(read_request("big.bin"))
        client.answer()
        os.kill(own_place.children()[0], signal.SIGKILL)
        [ended] = wait_until(lambda: own_place.lines("tftp_unfinished"))
        assert "-9" in ended["reason"]
    assert fetch(own_place) == SMALL


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_listener_at_all_addresses_answers_from_the_one_that_was_asked(tmp_path, way):
    with TftpPlace(tmp_path, *way, address="") as running, TftpClient(("127.0.0.77", running.port)) as client:
        client.ask(read_request("small.bin"))
        packet, peer = client.answer()
        assert (kind_of(packet), peer[0]) == (DATA, "127.0.0.77")
        client.ask(read_request("no.such"))
        packet, peer = client.answer()
        while kind_of(packet) == DATA:  # of the first transfer, repeated
            packet, peer = client.answer()
        assert (error_of(packet), peer) == (1, ("127.0.0.77", running.port))


def test_dry_run_tells_the_verdicts_and_answers_nothing(tmp_path):
    with TftpPlace(tmp_path, "--dry-run") as running, TftpClient(running.server, timeout_s=0.5) as client:
        for datagram in (read_request("small.bin"), read_request("no.such"), b"\0\2x\0octet\0", b""):
            client.ask(datagram)
        with pytest.raises(TimeoutError):
            client.answer()
        assert running.children() == []
        assert [line["verdict"] for line in running.lines("tftp_dry_run")] == [
            "would send 2000 bytes",
            "would refuse: file not found",
            "would refuse: this server is read only",
            "would ignore: too short for TFTP",
        ]

"""Boots through gunicorn on a real Redis."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from app.omni.kinds import Kind
from app.state.boots import Boots
from app.state.wake import Alarms
from tests.integration.children import wait_until
from tests.integration.web_site import JOIN_CONFIG, WebSite, web_site

pytestmark = pytest.mark.integration

ACCEPTED = 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSite]:
    with web_site(tmp_path_factory.mktemp("web")) as running:
        yield running


def new_id() -> str:
    return str(uuid.uuid4())


def test_storm_of_boots_is_answered_and_asks_the_factory_once(site: WebSite) -> None:
    site.factory.delay_s = 1
    ids = [new_id() for _ in range(1000)]
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(site.boot, ids))
    assert Counter(answer.status for answer in answers) == {200: 1000}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].text.startswith("#!ipxe\nchain --replace https://pxe.factory.talos.dev/pxe/")
    assert len(site.factory.bodies) == 1
    body = yaml.safe_load(site.factory.bodies[0])["customization"]
    assert "talos.config=http://10.0.0.1:50042/config?u=${uuid}" in body["extraKernelArgs"]
    assert "siderolabs/metal-agent" in body["systemExtensions"]["officialExtensions"]
    assert set(Alarms(site.redis).take(1000)) == set(ids)


def test_storm_of_different_images_is_answered_and_nothing_is_complained_of(tmp_path: Path) -> None:
    with web_site(tmp_path, "--web-workers=1") as site:
        site.factory.delay_s = 0.3
        ids = [new_id() for _ in range(20)]
        for number, machine_id in enumerate(ids):
            site.put(Kind.INFRA_MACHINE, machine_id, extra_kernel_args=f"number={number}")
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(site.boot, ids))
        assert len({answer.text for answer in answers}) == len(site.factory.bodies) == 20
        events = Counter(line["event"] for line in site.logged() if line.get("machine_id") or line["level"] != "info")
        assert events == {"boot_answered": 20}


def test_answer_has_a_length_and_head_the_same(site: WebSite) -> None:
    machine_id = new_id()
    got = site.boot(machine_id)
    head = site.ask(f"/ipxe/boot.ipxe?uuid={machine_id}", "HEAD")
    assert got.headers["Content-Length"] == head.headers["Content-Length"] == str(len(got.body))
    assert head.body == b""
    assert "Transfer-Encoding" not in got.headers
    assert site.ask("/ipxe/init.ipxe", "HEAD").headers["Content-Length"] != "0"
    assert site.ask("/nothing").headers["Content-Length"] != "0"


def test_factory_gone_boots_go_on_from_the_cache_after_restart_and_redis_loss(tmp_path: Path) -> None:
    with web_site(tmp_path, "--web-workers=1") as site:
        first = site.boot(new_id())
        assert first.status == 200
        site.factory.status = 500
        assert site.stop() == 0
        site.redis.flushall()
        site.mirror.mark_complete(site.mirror.begin_build(), 0)
        site.start()
        assert site.boot(new_id()).text == first.text
        assert len(site.factory.bodies) == 1


def test_emptied_redis_holds_boots_back(tmp_path: Path) -> None:
    with web_site(tmp_path, "--web-workers=1") as site:
        assert site.boot(new_id()).status == 200
        site.redis.flushall()
        answer = site.boot(new_id())
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        assert site.ask("/readyz").status == 503
        assert site.ask("/healthz").status == 200


def test_installed_machine_boots_its_disk(site: WebSite) -> None:
    machine_id = new_id()
    site.put(
        Kind.INFRA_MACHINE,
        machine_id,
        acceptance_status=ACCEPTED,
        cluster_talos_version="v1.13.2",
        wipe_id="w1",
        install_event_id=2,
    )
    site.put(Kind.WIPE_STATUS, machine_id, initial_wipe_done=True, last_wipe_id="w1", last_wipe_install_event_id=1)
    site.put(Kind.BMC_CONFIGURATION, machine_id, manually_configured=True)
    assert site.boot(machine_id.upper()).text == "#!ipxe\nexit\n"


def test_configuration_is_served_after_a_boot_and_refused_without(site: WebSite) -> None:
    booted, other = new_id(), new_id()
    site.boot(booted)
    site.redis.set("om:boots-tracked", "1")
    assert Boots(site.redis).config_allowed(booted, None, match_address=False)
    served = site.ask(f"/config?u={booted}", address="10.9.9.9")
    assert (served.status, served.text) == (200, JOIN_CONFIG)
    assert site.ask(f"/config?u={other}").status == 403


def test_address_of_the_client_comes_through_the_socket(site: WebSite) -> None:
    assert site.ask("/api/v1/machines", address="127.0.0.1").status == 200
    assert site.ask("/api/v1/machines", address="10.0.0.7").status == 403
    forged = {"X-Forwarded-For": "127.0.0.1", "SCRIPT_NAME": "/ipxe", "PATH_INFO": "/api/v1/machines"}
    assert site.ask("/api/v1/machines", address="10.0.0.7", **forged).status in {400, 403}


def test_machine_is_shown_and_its_login_is_not(site: WebSite) -> None:
    machine_id = new_id()
    site.put(Kind.INFRA_MACHINE, machine_id, acceptance_status=ACCEPTED, node_unique_token="node-secret")
    answer = site.ask(f"/api/v1/machines/{machine_id}", address="127.0.0.1")
    assert answer.status == 200
    assert answer.json["acceptance"] == "accepted"
    assert answer.json["decision"]["requires_wipe"] is True
    assert "node-secret" not in answer.text
    listed = site.ask(f"/api/v1/machines?q={machine_id[:13]}", address="127.0.0.1").json
    assert [machine["id"] for machine in listed["machines"]] == [machine_id]
    assert "node-secret" not in site.ask(f"/api/v1/machines/{machine_id}/explain", address="127.0.0.1").text


def test_log_is_json_with_each_boot(site: WebSite) -> None:
    machine_id = new_id()
    site.boot(machine_id, address="10.0.0.77")
    lines = [line for line in site.logged() if line.get("machine_id") == machine_id]
    assert [line["event"] for line in lines] == ["boot_answered"]
    assert lines[0]["mode"] == "agent-pxe"
    assert lines[0]["address"] == "10.0.0.77"


def test_killed_worker_is_replaced(site: WebSite) -> None:
    assert site.process
    children = Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children")
    before = set(children.read_text().split())
    victim = min(int(pid) for pid in before)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(set(children.read_text().split()) - before) >= 1, 15)
    assert site.boot(new_id()).status == 200


def test_hung_factory_is_503_within_its_limit_and_does_not_hold_up_others(tmp_path: Path) -> None:
    with web_site(tmp_path) as site:
        disk = new_id()
        site.put(Kind.INFRA_MACHINE, disk, acceptance_status=2)
        site.factory.delay_s = 30
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            boots = [pool.submit(site.boot, new_id()) for _ in range(8)]
            time.sleep(0.5)
            assert site.boot(disk).status == 404
            assert time.monotonic() - began < 5
            answers = [boot.result() for boot in boots]
        assert {answer.status for answer in answers} == {503}
        assert all("did not answer" in answer.text for answer in answers)
        assert time.monotonic() - began < 14
        assert len(site.factory.bodies) == 1
        began = time.monotonic()
        assert site.boot(new_id()).status == 503
        assert time.monotonic() - began < 1


def test_clients_that_never_finish_their_request_do_not_stop_boots(tmp_path: Path) -> None:
    with web_site(tmp_path, "--web-workers=1") as site, contextlib.ExitStack() as stack:
        for number in range(40):
            slow = stack.enter_context(socket.socket(socket.AF_UNIX))
            slow.connect(str(site.socket))
            slow.sendall(f"GET /ipxe/boot.ipxe?uuid={number} HTTP/1.1\r\nHost: h".encode())
        began = time.monotonic()
        assert site.boot(new_id()).status == 200
        assert time.monotonic() - began < 14


def test_clients_that_have_their_answer_and_do_not_close_hold_nobody_up(tmp_path: Path) -> None:
    with web_site(tmp_path, "--web-workers=1") as site, contextlib.ExitStack() as stack:
        for _ in range(5):
            idle = stack.enter_context(socket.socket(socket.AF_UNIX))
            idle.settimeout(10)
            idle.connect(str(site.socket))
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            while idle.recv(4096):
                pass
        began = time.monotonic()
        assert site.boot(new_id()).status == 200
        assert time.monotonic() - began < 1.5


def test_clients_that_never_stop_asking_leave_others_their_turn(tmp_path: Path) -> None:
    with web_site(tmp_path, "--web-workers=1") as site:
        ended = threading.Event()

        def ask_on() -> None:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(str(site.socket))
                while not ended.is_set():
                    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
                    client.recv(4096)

        with ThreadPoolExecutor(40) as pool:  # more than a worker has threads
            asking = [pool.submit(ask_on) for _ in range(40)]
            try:
                began = time.monotonic()
                assert [site.boot(new_id()).status for _ in range(3)] == [200] * 3
                assert time.monotonic() - began < 10
            finally:
                ended.set()
            for client in asking:
                client.result()

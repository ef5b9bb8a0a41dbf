"""Two watchers and two gateways at one Redis: one takes over what the other leaves, and nothing is done twice."""

import os
import shutil
import signal
import sys
import time

import pytest

from app.watcher.leader import LEADER
from tests.integration.balancer import Balancer
from tests.integration.children import wait_until
from tests.integration.fault_site import FaultSite
from tests.integration.whole_site import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

TAKES_OVER_S = 15
# Twice as long as the lead is held without being renewed.
FROZEN_S = 20


def another_leads(site, leader):
    wait_until(lambda: (now := site.redis.get(LEADER)) is not None and now != leader, TAKES_OVER_S)


def test_second_watcher_takes_over_from_a_frozen_one_and_from_a_dead_one(tmp_path, survived):
    with FaultSite(tmp_path, machines=2, wipe_s=1, boot_s=0.2) as site, site.beside("watcher") as second:
        site.join_all()
        wait_until(lambda: len(site.pids("watcher")) == 2)
        first = site.pids("watcher") - {second.pid}
        leader = site.redis.get(LEADER)
        for pid in first:
            os.kill(pid, signal.SIGSTOP)
        frozen_s = time.monotonic()
        another_leads(site, leader)
        site.accept(0)
        site.until_wiping(0, timeout_s=TAKES_OVER_S)
        time.sleep(FROZEN_S - (time.monotonic() - frozen_s))
        for pid in first:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: "another_watcher_is_active" in site.log.read_text(), 20)
        site.until_ready_and_off(0)

        leader = site.redis.get(LEADER)
        site.accept(1)
        site.until_wiping(1)
        second.kill()
        another_leads(site, leader)
        site.until_ready_and_off(1)
        assert site.wipes() == [(1, 1, 0)] * 2
        assert site.recorded() == [1, 1]
        assert site.asked() == {"poweroff": 2}
        assert site.complaints() == []
        leads = f"the other leads within {TAKES_OVER_S} s: "
        survived("the active of two watchers frozen", "a machine accepted meanwhile", leads + site.outcome(0))
        survived("kill -9 of the active of two watchers", "a wipe", leads + site.outcome(1))


def held_by(site, port):
    """The machines whose tunnels are held by the gateway with this internal port."""
    addresses = {m.id: site.redis.hget(f"om:agent:{m.id}", "address") for m in site.machines}
    return {m for m, address in addresses.items() if address and address.endswith(b":%d" % port)}


def test_one_of_two_gateways_killed_amid_wipes_its_agents_go_to_the_other(tmp_path, survived):
    listen, ports = "--api-listen-address=127.0.0.{}".format, (free_port(), free_port())
    first = listen(2), f"--gateway-listen=127.0.0.1:{ports[0]}"
    with FaultSite(tmp_path, *first, machines=4, wipe_s=6, boot_s=0.2) as site:
        (tmp_path / "second").mkdir(mode=0o700)
        shutil.copy(site.settings.state_dir / "secret", tmp_path / "second")
        second = [f"--state-dir={tmp_path / 'second'}", listen(3), f"--gateway-listen=127.0.0.1:{ports[1]}"]
        backends = [(f"127.0.0.{last}", site.port) for last in (2, 3)]
        balancer = Balancer("127.0.0.1", site.port, backends)
        with balancer, site.beside("gateway", *second) as gateway, site.beside("web", *second) as web:
            wait_until(lambda: len(site.redis.zrange("om:gateways", 0, -1)) == 2, 30)
            site.join_all()
            site.until(lambda _: all(m.tunnel_open for m in site.machines), 30, "agents are connected")
            wait_until(lambda: sum(len(held_by(site, each)) for each in ports) == 4, 20)
            cut = held_by(site, ports[1])
            # Boot requests go through the balancer too: it need not be two each.
            assert 0 < len(cut) < 4
            site.accept(*range(4))
            site.until_wiping()
            gateway.kill()
            web.kill()
            site.until_ready_and_off()
        assert site.wipes() == [(2, 1, 1) if m.id in cut else (1, 1, 0) for m in site.machines]
        assert site.recorded() == [1] * 4
        assert site.asked() == {"poweroff": 4}
        assert site.complaints() == []
        fault = "kill -9 of one of two gateways, and its web"
        where = {m.id in cut: place for place, m in enumerate(site.machines)}
        survived(fault, "a wipe that it holds", site.outcome(where[True]))
        survived(fault, "a wipe that the other one holds", site.outcome(where[False]))

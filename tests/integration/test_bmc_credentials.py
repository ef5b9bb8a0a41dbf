"""Logins that stop working, are refused or are given by a user, and machines that draw power one after the other.

With the real processes, and BMCs of the kinds that have a login. The machines stay in agent mode all the time.
"""

import itertools
import json
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace

import pytest

from app.machine.model import PreferredPowerState
from app.state.attempts import Attempts
from app.state.bmc_notes import TROUBLE, trouble_of
from app.state.mirror_keys import machine_key
from app.state.wake import Alarms
from lab.bmc.chassis import BmcKind
from protos.gen.omni import specs_pb2
from tests.integration.children import wait_until
from tests.integration.whole_site import WholeSite

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

ON, OFF = PreferredPowerState.ON, PreferredPowerState.OFF
MACHINES, A_MINUTE = 4, 40
# A login that has worked is believed to be refused after so many in a row; a new one is tried as often.
CONFIRMED = 3
SETTLED_S = 40
# One command leaves up to so much later than its moment, with all processes on two busy cores.
LATE_S = 0.6


class Site(WholeSite):
    """Machines that Omni prefers to be on, so that their agents stay."""

    def __init__(self, folder):
        options = ("--ipmi-min-interval=50ms", f"--max-power-ons-per-minute={A_MINUTE}")
        kinds = (BmcKind.REDFISH, BmcKind.IPMI)
        super().__init__(folder, *options, machines=MACHINES, kinds=kinds, wipe_s=0.2, boot_s=0.3)

    def prefer(self, state):
        omni = self.thread.rack.omni
        self.thread.call(lambda: [omni.set_preferred_power(machine.id, state) for machine in self.machines])

    def idle_in_agent_mode(self):
        """All are wiped, and on."""
        self.thread.call(self.thread.rack.power_on)
        self.until(lambda rack: all(rack.observe(m).known for m in rack.machines), 30, "machines join")
        self.prefer(ON)
        self.thread.call(lambda: [self.thread.rack.omni.accept(m.id) for m in self.machines])
        self.until(lambda rack: all(rack.observe(m).ready for m in rack.machines), 60, "ready")

    def change_password(self, machine, *, keeps=True):
        """Somebody changes it at the BMC. keeps: the BMC takes what the agent sets after that."""
        bmc, set_login = machine.bmc, machine.bmc.set_login

        def change():
            set_login("talos-agent", "somebody-else")
            if not keeps:
                bmc.set_login = lambda username, password: set_login(username, f"{password[:15]}!")

        self.thread.call(change)

    def user_gives(self, machine, password):
        """A user has made a login at the BMC, and gives it in Omni."""
        address, port = machine.ipmi
        ipmi = {"address": address, "port": port, "username": "operator", "password": password}
        login = specs_pb2.InfraMachineBMCConfigSpec(ipmi=specs_pb2.InfraMachineBMCConfigSpec.IPMI(**ipmi))

        def give():
            type(machine.bmc).set_login(machine.bmc, "operator", password)
            self.thread.rack.omni.set_bmc_config(machine.id, login)

        self.thread.call(give)

    def refuses(self, machine):
        """Whether its BMC refuses its login, as far as is known."""
        trouble = trouble_of(self.redis.hget(machine_key(machine.id), TROUBLE), None)
        return trouble is not None and trouble.refused

    def eleven_minutes_pass(self, machine):
        """What is noted of refusals and of failed attempts is so much older."""
        ms = 661_000
        self.redis.delete("om:login-refusals:{}:{}".format(*machine.ipmi))
        attempts = Attempts(self.redis)
        for attempt in attempts.of(machine.id).values():
            attempts.store(machine.id, replace(attempt, next_ms=attempt.next_ms and attempt.next_ms - ms))
        Alarms(self.redis).wake(machine.id)

    def shown(self, machine):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/machines/{machine.id}", timeout=10) as answer:
            return json.load(answer)

    def command(self, *words):
        """Run a command of the person; status and output."""
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "app.cli", *words, *self.options],
            capture_output=True, text=True, timeout=60, check=False,
        )
        return ended.returncode, ended.stdout + ended.stderr


def test_logins_of_bmcs_and_turns_to_draw_power(tmp_path):
    with Site(tmp_path) as site:
        site.idle_in_agent_mode()
        good, bad = site.machines[:2], site.machines[2:]
        for machine in site.machines:
            site.change_password(machine, keeps=machine in good)
        wait_until(lambda: all(site.refuses(m) for m in site.machines), SETTLED_S)
        assert all(len(m.passwords) == 1 for m in site.machines)
        for machine in site.machines:
            site.eleven_minutes_pass(machine)
        wait_until(lambda: all(len(m.passwords) == 2 and site.shown(m)["powered_on"] for m in good), SETTLED_S)
        commands_say_what_the_bmcs_are(site, good)
        tried_again(site, bad)
        wait_until(lambda: all(site.shown(m)["parked"] == ["configure_bmc"] for m in bad), SETTLED_S)
        for machine in bad:
            seen = site.shown(machine)
            assert "the BMC refuses the login that its agent has just set, 3 times" in seen["sentence"]
            assert "Give its login as a BMCConfig in Omni" in seen["sentence"] and seen["phase"] == "parked"
            assert len(machine.passwords) == 2 and machine.bmc.ledger.refused_in_a_row == 2 * CONFIRMED
            site.eleven_minutes_pass(machine)
            site.user_gives(machine, "operators-own")
        wait_until(lambda: all(is_well(site.shown(m)) for m in bad), SETTLED_S)
        assert all(m.bmc.ledger.most_refused_in_a_row == CONFIRMED for m in good)
        assert all(m.bmc.ledger.most_refused_in_a_row == 2 * CONFIRMED for m in bad)
        assert all(len(m.passwords) == 2 for m in site.machines)
        assert not any(password in site.log.read_text() for m in site.machines for password in m.passwords)
        they_draw_power_one_after_the_other(site)


def tried_again(site, machines):
    """The login that was set anew is refused, and is tried once more after the longest lock-out."""
    attempts = Attempts(site.redis)
    wait_until(lambda: all("configure_bmc" in attempts.of(m.id) for m in machines), SETTLED_S)
    for machine in machines:
        attempt = attempts.of(machine.id)["configure_bmc"]
        assert not attempt.parked and "tried once more after 11 minutes" in attempt.words
        assert machine.bmc.ledger.refused_in_a_row == CONFIRMED
        site.eleven_minutes_pass(machine)


def is_well(shown):
    return shown["powered_on"] and shown["phase"] == "ready"


def commands_say_what_the_bmcs_are(site, machines):
    for machine in machines:
        status, said = site.command("bmc", "test", machine.id)
        assert status == 0 and f"spoken to by {machine.kind.value}" in said, said
        assert 'takes the login of "talos-agent": power ON' in said
        status, said = site.command("bmc", "probe", machine.id)
        assert status == 0 and f"spoken to by {machine.kind.value}" in said, said
    assert site.command("bmc", "test", "00000000")[0] == 1


def they_draw_power_one_after_the_other(site):
    """Each command leaves at least the pause after the one before; who waits says so."""
    site.prefer(OFF)
    wait_until(lambda: not any(m.powered_on for m in site.machines), SETTLED_S)
    time.sleep(60 / A_MINUTE)
    site.prefer(ON)
    on_s, waited = {}, set()
    deadline_s = time.monotonic() + SETTLED_S
    while len(on_s) < MACHINES and time.monotonic() < deadline_s:
        on_s |= {m.id: time.monotonic() for m in site.machines if m.powered_on and m.id not in on_s}
        waited |= {site.shown(m)["waits"].partition(", at about")[0] for m in site.machines if m.id not in on_s}
        time.sleep(0.02)
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(sorted(on_s.values()))]
    assert len(on_s) == MACHINES and min(gaps_s) >= 60 / A_MINUTE - LATE_S, gaps_s
    assert "power_on waits for its turn" in waited
    assert all(not site.shown(m)["attempts"] for m in site.machines)

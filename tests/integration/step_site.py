"""A whole site in which the power operation of each machine is stopped at a step of its own, by BMCs of any kind."""

import time
from collections import Counter

from app.state.lease import lease_key
from app.state.mirror_keys import machine_key
from lab.bmc.dice import Odds
from tests.integration.fault_site import COMMANDS, FaultSite

# Longer than the worker waits before it asks a question again, and than a look of the test takes.
SLOW_S = 1.0
# A BMC that takes its time; the least that is waited for is 20 s.
PONDERS_S = 8.0
# From the last check to the command it is milliseconds.
SENT_S = 0.5
BMC_LEASES = "om:bmc:*"


class StepSite(FaultSite):
    """kinds: of the BMCs, one for each machine."""

    def __init__(self, folder, kinds, **rack_options):
        # Longer than a boot takes on a busy host: else each reboot cuts short what the one before began.
        pause = "--min-reboot-interval=4s"
        super().__init__(folder, pause, machines=len(kinds), kinds=tuple(kinds), wipe_s=0.2, boot_s=0.2, **rack_options)
        self.calls, self.commands = [], []

    def bmc(self, place):
        return self.machines[place].bmc

    # Steps: each answers with a function that says, in the rack's loop, whether the operation stands there.

    def stop_at_omni(self, place, method, kind, *, done=False):
        """It waits for Omni's answer. done: Omni has done what it was asked for."""
        hold = self.omni(lambda omni: omni.hold(method, kind, self.machines[place].id, done=done))
        self.calls.append(hold)
        return lambda: hold.waiting

    def stop_at_bmc(self, place, button, *, done=False):
        """It waits for the answer to a command. done: the BMC has carried it out."""
        hold = self.do(lambda: self.bmc(place).hold(button, done=done))
        self.commands.append(hold)
        return lambda: hold.waiting

    def stop_in_read_back(self, place, button):
        """Its command is carried out, and the BMC says otherwise until it is `honest`."""
        waits, bmc, began_at = self.stop_at_bmc(place, button), self.bmc(place), []
        hold = self.commands.pop()

        def reached():
            if not began_at and waits():
                began_at.append(bmc.calls["status"])
                bmc.dice.odds = Odds(wrong_state=1.0)
                hold.release()
            return began_at and bmc.calls["status"] >= began_at[0] + 2

        return reached

    def stop_at_the_end(self, place):
        """From the read-back of IPMI on: it has closed its session, and waits for the answer to that."""
        bmc = self.bmc(place)

        def go_on():
            bmc.status_delay_s, bmc.dice.odds = SLOW_S, Odds()

        self.do(go_on)
        return lambda: not bmc.ledger.sessions

    def stop_before_the_command(self, place, method, kind):
        """By Redfish: it has made its last check, and asks the BMC what it needs to know for the command."""
        recorded, bmc, began_at = self.stop_at_omni(place, method, kind, done=True), self.bmc(place), []
        hold, key = self.calls.pop(), machine_key(self.machines[place].id)

        def reached():
            if not began_at and recorded():
                began_at.append(self.redis.hget(key, "f:acted"))
                bmc.status_delay_s = PONDERS_S
                hold.release()
            return began_at and self.redis.hget(key, "f:acted") != began_at[0]

        return reached

    def until_all(self, steps, timeout_s=30):
        self.until(lambda _: all(reached() for reached in steps), timeout_s, "all are at their step")

    # What becomes of them

    def kill_worker(self):
        """Kill the worker that is at all these steps, and let go of what they were stopped by."""
        at_work = self.at_work()
        assert len(at_work) == len(self.machines), "a step was left before all were reached"
        leases_ms = [self.redis.pttl(key) for key in self.redis.scan_iter(BMC_LEASES)]
        killed, self.killed_s = self.kill("worker bmc"), time.monotonic()
        assert len(leases_ms) == len(self.machines)
        assert max(leases_ms) <= 30_000
        self.asked_before = self.do(lambda: [m.bmc.calls["status"] for m in self.machines])
        self.let_all_go()
        self.started_anew("worker bmc", killed)

    def at_work(self):
        """The machines on which an operation has its lease."""
        return [m for m in self.machines if self.redis.exists(lease_key(m.id))]

    def let_all_go(self):
        self.do(lambda: [hold.release() for hold in self.commands])
        self.do(lambda: [self._be_honest(m.bmc) for m in self.machines])
        self.let_go(self.calls)

    def _be_honest(self, bmc):
        bmc.status_delay_s, bmc.dice.odds = 0.0, Odds()

    def until_asked_again(self, timeout_s=60):
        """Wait until each BMC was asked for its power again; the answer is how long after the kill that was."""
        self.until(
            lambda rack: all(m.bmc.calls["status"] > b for m, b in zip(rack.machines, self.asked_before, strict=True)),
            timeout_s,
            "BMCs are asked again",
        )
        return time.monotonic() - self.killed_s

    def until_no_session(self, timeout_s=90):
        """Wait until the BMCs have all their slots again."""
        self.until(lambda rack: not any(m.bmc.ledger.sessions for m in rack.machines), timeout_s, "sessions end")

    def executed(self):
        """The power commands that each BMC has carried out."""
        return self.do(lambda: [Counter({b: m.bmc.ledger.executed[b] for b in COMMANDS}) for m in self.machines])

    def sent_again(self):
        """The commands that came twice in one session."""
        return self.do(lambda: [name for m in self.machines for name in m.bmc.calls if name.startswith("resent ")])

    def record(self, kind, place):
        """What stands in Omni."""
        return self.omni(lambda omni: omni.get(kind, self.machines[place].id)).spec

"""A whole site to which faults are done: processes killed and frozen, and figures of what came of it."""

import contextlib
import json
import os
import signal
import urllib.error
import urllib.request
from collections import Counter

from app.machine.model import PreferredPowerState
from app.omni.kinds import Kind
from app.state.history import History
from lab.bmc.chassis import Button
from lab.hardware import Stage
from lab.life import TALOS_VERSION
from tests.integration.children import marked_processes, wait_until
from tests.integration.whole_site import UP_S, WholeSite

WIPES = {"wipe begun": "wipes begun", "wipe cut short": "cut short", "wipe done": "done"}
COMMANDS = {Button.POWER_ON: "power-ons", Button.POWER_OFF: "power-offs", Button.REBOOT: "reboots"}
NOTHING = Counter()


class FaultSite(WholeSite):
    """Machines are named by their place in the rack."""

    # Processes

    def pids(self, name):
        """The processes of a name on the command line, or the Redis that `run` has started."""
        if name == "redis":
            return {self.redis.info()["process_id"]}
        return {pid for pid, command in marked_processes(self.folder).items() if f"app.cli {name} " in command}

    def kill(self, name, number=signal.SIGKILL):
        """Send a signal to a process; the answer is its process ids."""
        pids = self.pids(name)
        assert pids, f"no process {name}"
        for pid in pids:
            os.kill(pid, number)
        return pids

    def started_anew(self, name, killed):
        """Wait until another process has taken the place of the killed one."""
        wait_until(lambda: (pids := self.pids(name)) and not pids & killed, UP_S)

    def let_go(self, holds):
        """Hold calls to Omni no more, once it has seen that those who made them are dead."""
        self.until(lambda _: not any(h.waiting for h in holds), 10, "held calls end")
        self.do(lambda: [h.release() for h in holds])

    @contextlib.contextmanager
    def beside(self, command, *options):
        """A further process with the same options and the same Redis, until the end or until it is killed."""
        process = self.start(command, [*self.options, f"--redis-url={self.settings.redis_url}", *options])
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    # What an operator does

    def do(self, act):
        """Let something be done in the rack's loop; the answer is what it gives."""
        return self.thread.call(act)

    def omni(self, act):
        """Let something be done at the stand-in Omni."""
        return self.thread.call(lambda: act(self.thread.rack.omni))

    def join_all(self):
        """All machines boot, and are pending."""
        self.do(self.thread.rack.power_on)
        self.until(lambda rack: all(rack.observe(m).known for m in rack.machines), 60, "machines join")

    def accept(self, *places):
        self.omni(lambda omni: [omni.accept(self.machines[p].id) for p in places])

    def allocate(self, *places):
        """Put machines into a cluster."""
        self.omni(lambda omni: [omni.allocate(self.machines[p].id, TALOS_VERSION) for p in places])

    def deallocate(self, *places):
        self.omni(lambda omni: [omni.deallocate(self.machines[p].id) for p in places])

    def prefer(self, state, *places):
        self.omni(lambda omni: [omni.set_preferred_power(self.machines[p].id, state) for p in places])

    # What the provider answers

    def fetched(self, path):
        """The text of an answer, whatever its status."""
        return self._answer(path)[1]

    def omni_check(self):
        """What `/readyz` says of Omni."""
        return json.loads(self.fetched("/readyz"))["checks"]["omni"]

    def boot_status(self, place):
        """The status of the answer that a machine's firmware gets."""
        return self._answer(f"/ipxe/boot.ipxe?uuid={self.machines[place].id}&mac=02-00-00-00-00-00&arch=x86_64")[0]

    def logged(self, event):
        """The log's entries of this name."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def _answer(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    # Waiting

    def some(self, *places):
        return [self.machines[p] for p in places] or list(self.machines)

    def until_wiping(self, *places, timeout_s=60):
        self.until(lambda _: all(m.wiping for m in self.some(*places)), timeout_s, "wipes begin")

    def until_ready_and_off(self, *places, timeout_s=90):
        self.until(
            lambda rack: all(rack.observe(m).ready and not m.powered_on for m in self.some(*places)),
            timeout_s,
            "ready, off",
        )

    def until_in_talos(self, *places, timeout_s=60):
        self.until(
            lambda rack: all(m.stage is Stage.TALOS and rack.observe(m).installed for m in self.some(*places)),
            timeout_s,
            "run Talos",
        )

    def until_settled(self, *places, timeout_s=60):
        """Wait until Omni has asked the machines what it wants to know, and prefers the idle ones off."""
        off = PreferredPowerState.OFF
        self.until(
            lambda rack: all(rack.observe(m).machine.preferred_power_state is off for m in self.some(*places)),
            timeout_s,
            "Omni knows them",
        )

    # Figures

    def wipes(self, *places):
        """Of each machine: wipes begun, done, cut short."""
        names = ("wipe begun", "wipe done", "wipe cut short")
        return self.do(lambda: [tuple(m.counts[n] for n in names) for m in self.some(*places)])

    def recorded(self, *places, operation="wipe"):
        """Of each machine: how often an operation stands in its history as done."""
        history = History(self.redis)
        entries = [[e.outcome for e in history.read(m.id) if e.operation == operation] for m in self.some(*places)]
        return [outcomes.count("done") for outcomes in entries]

    def figures(self, place):
        """All that has happened to a machine, by the words of docs/faults.md."""
        machine = self.machines[place]
        record = self.omni(lambda omni: omni.get(Kind.WIPE_STATUS, machine.id))

        def counted():
            found = {words: machine.counts[name] for name, words in WIPES.items()}
            found["recorded"] = record.version if record else 0  # Omni counts how often it was written
            return Counter({**found, **{words: machine.bmc.calls[button] for button, words in COMMANDS.items()}})

        return self.do(counted)

    def outcome(self, place, before=NOTHING):
        """What has happened to a machine since, in words."""
        figures = self.figures(place)
        return ", ".join(f"{words} {n}" for words in figures if (n := figures[words] - before[words]) > 0) or "nothing"

    def asked(self, *places):
        """The power commands that the BMCs were sent, all together."""
        calls = self.do(lambda: [Counter(m.bmc.calls) for m in self.some(*places)])
        return Counter({b.value: n for b in COMMANDS if (n := sum(c[b.value] for c in calls))})

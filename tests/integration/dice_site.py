"""Two hundred virtual BMCs of the three kinds that fail by dice, and the real processes that have to get along."""

import json
import sys
import time
from functools import partial

from app.machine.model import BmcConfiguration, Ipmi
from lab.bench.fleet import AGENT_USER, PASSWORD, put_machine
from lab.bench.watched import PROGRAM, Watched
from lab.bmc.api import VirtualApiBmc
from lab.bmc.chassis import BmcKind
from lab.bmc.dice import Dice
from lab.bmc.fleet import FleetMachine, machine_id
from lab.bmc.ipmi.server import VirtualIpmiBmc
from lab.bmc.ledger import Ledger
from lab.bmc.redfish.server import VirtualRedfishBmc
from lab.omni.certificates import make_certificate
from lab.rack import RackOptions
from lab.rack_thread import RackThread
from protos.gen.omni import specs_pb2
from tests.free_ports import free_port
from tests.integration import impatient_worker

KINDS = (BmcKind.API, BmcKind.IPMI, BmcKind.REDFISH)
LOOK_S = 0.2


def worker(queue):
    return [sys.executable, "-P", impatient_worker.__file__, queue]


class DiceBmc:
    """A machine and its BMC, of whichever kind."""

    def __init__(self, index, odds, certificate):
        self.id = machine_id(index)
        self.kind = KINDS[index % len(KINDS)]
        self.machine = FleetMachine(self.id)
        self.ledger = Ledger()
        # Redfish has the same port at all BMCs, so each has an address of its own.
        self.address = f"127.79.{index // 250}.{index % 250 + 1}"
        dice = Dice(odds, index)
        self.bmc = {
            BmcKind.API: lambda: VirtualApiBmc(self.machine, dice, self.ledger),
            BmcKind.IPMI: lambda: VirtualIpmiBmc(self.machine, dice, self.ledger),
            BmcKind.REDFISH: lambda: VirtualRedfishBmc(self.machine, self.id, dice, self.ledger, certificate),
        }[self.kind]()
        self.bmc.set_login(AGENT_USER, PASSWORD)

    @property
    def logins_tried(self):
        """How often somebody has begun to log in, or sent a login."""
        return self.ledger.calls["open session"] + self.ledger.logins + self.ledger.refused_logins

    def login(self, port, password=PASSWORD):
        """Address and login; port: that of the BMCs of all machines."""
        if self.kind is BmcKind.API:
            return BmcConfiguration(api_address=f"{self.address}:{port}")
        return BmcConfiguration(ipmi=Ipmi(self.address, port, AGENT_USER, password))

    def user_login(self, port, password):
        """The same, as a user gives it in Omni."""
        ipmi = self.login(port, password).ipmi
        words = {"address": ipmi.address, "port": ipmi.port, "username": ipmi.username, "password": ipmi.password}
        return specs_pb2.InfraMachineBMCConfigSpec(ipmi=specs_pb2.InfraMachineBMCConfigSpec.IPMI(**words))


class DiceSite:
    """Use as a context manager."""

    def __init__(self, machines, odds):
        certificate = make_certificate("redfish.lab")
        self.bmcs = [DiceBmc(index, odds, certificate) for index in range(machines)]
        self.port = free_port()
        self._loop = RackThread(RackOptions(machines=0))
        options = (
            f"--redfish-port={self.port}",
            "--power-poll-interval=2s",
            "--min-reboot-interval=1s",
            "--ipmi-min-interval=50ms",
            "--operation-attempts=50",
        )
        by_id = {bmc.id: bmc for bmc in self.bmcs}
        self.watched = Watched(
            list(by_id),
            lambda name, omni: put_machine(name, omni, by_id[name].login(self.port)),
            [worker("bmc"), worker("poll"), [*PROGRAM, "beat"]],
            options,
        )

    def __enter__(self):
        self._loop.__enter__()
        try:
            for bmc in self.bmcs:
                self._loop.wait(partial(bmc.bmc.serve, bmc.address, self.port))
            self.watched.__enter__()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        self.watched.__exit__()
        for bmc in self.bmcs:
            self._loop.wait(bmc.bmc.stop)
        self._loop.__exit__()

    def change(self, bmc, field, value):
        """Change what Omni wants of a machine."""
        self.watched.omni.do(lambda omni: omni._change(bmc.id, lambda draft: setattr(draft.spec, field, value)))

    def record(self, kind, bmc):
        """What stands in Omni."""
        return self.watched.omni.do(lambda omni: omni.get(kind, bmc.id)).spec

    def give_login(self, bmc, password):
        """What a user does in Omni."""
        login = bmc.user_login(self.port, password)
        self.watched.omni.do(lambda omni: omni.set_bmc_config(bmc.id, login))

    def set_login(self, bmc, password):
        """Somebody changes the password at the BMC itself."""
        self._loop.call(lambda: bmc.bmc.set_login(AGENT_USER, password))

    def said_refused(self, bmc):
        """Whether it was said that the BMC refuses its login."""
        return any(json.loads(line)["event"] == "bmc_login_refused" for line in self.logged(bmc))

    def until(self, holds, bmcs, timeout_s, what):
        """Wait until something holds of each of these."""
        began_s, left = time.monotonic(), list(bmcs)
        while left := [bmc for bmc in left if not holds(bmc)]:
            shown = f"{what}: {len(left)} not, {left[0].kind} {left[0].id} is one"
            assert time.monotonic() - began_s < timeout_s, f"{shown}\n{self.last_words(left[0])}"
            time.sleep(LOOK_S)
        return time.monotonic() - began_s

    def last_words(self, bmc):
        """What was logged of a machine last."""
        return "\n".join(self.logged(bmc)[-20:])

    def logged(self, bmc):
        """The lines of JSON on a machine."""
        log = self.watched.log.read_text(errors="replace")
        return [line for line in log.splitlines() if bmc.id in line and line.startswith("{")]

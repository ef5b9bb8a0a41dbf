"""Many virtual BMCs of one kind in a process of their own, for measurements.

Each BMC has an address of its own in the loopback network, and all have the same port. One line of JSON says when all
listen, and where; one for each button that is pressed, where that is wanted, says when, by the monotonic clock; SIGTERM
or SIGINT ends the process with one more, which says what they were asked for and what that has cost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from lab.bmc.chassis import Button, VirtualBmc
from lab.bmc.dice import Dice, Odds
from lab.bmc.ledger import Ledger
from lab.open_files import allow_open_files

# A BMC's port, some clients, and what Python itself opens.
FILES_PER_BMC: Final = 8
FILES_BESIDE: Final = 64


def machine_id(index: int) -> str:
    """The machine at the BMC that is so far from the first one."""
    return f"6d657461-6c00-4000-8000-{index + 1:012x}"


class FleetMachine:
    """A machine that is nothing but its power. presses: how often each button was pressed."""

    def __init__(self, machine_id: str, tell: Callable[[str, Button], None] | None = None) -> None:
        self.machine_id = machine_id
        self._tell = tell
        self.powered_on = False
        self.armed = False
        self.presses: Counter[Button] = Counter()

    def commanded(self, button: Button) -> None:
        """The BMC was told to press this button."""
        self.presses[button] += 1
        if self._tell is not None:
            self._tell(self.machine_id, button)
        match button:
            case Button.PXE_BOOT:
                self.armed = True
            case Button.POWER_OFF:
                self.powered_on = False
            case Button.POWER_ON if not self.powered_on:
                self.powered_on, self.armed = True, False
            case Button.REBOOT if self.powered_on:
                self.armed = False


class TimedLedger(Ledger):
    """A ledger that knows since when its BMC has its user."""

    def __init__(self) -> None:
        super().__init__()
        self._came_s = 0.0

    def user_came(self, peer: Hashable) -> None:
        """A peer begins to be served."""
        super().user_came(peer)
        self._came_s = time.monotonic()

    def tell(self, machine_id: str, button: Button) -> None:
        """Say who is pressed, when, and since when whoever does it is served."""
        now_s = time.monotonic()
        _say({"machine_id": machine_id, "pressed": button.value, "came_s": self._came_s, "at_s": now_s})


class Closable(Protocol):
    """Something that holds a port."""

    def close(self) -> None:
        """Give the port back."""


@dataclass(frozen=True, slots=True)
class FleetKind:
    """What a fleet is made of.

    program: how the command is called, for its help.
    port: the usual port.
    make: makes one BMC of a machine.
    silence: takes an address and a port so that whoever asks there gets no answer at all.
    """

    program: str
    port: int
    make: Callable[[FleetMachine, Dice, Ledger], VirtualBmc]
    silence: Callable[[str, int], Closable]


def main(kind: FleetKind, arguments: Sequence[str] | None = None) -> int:
    """Run a fleet until it is told to stop; the answer is the exit status."""
    parser = _parser(kind)
    given = parser.parse_args(arguments)
    try:
        fleet = Fleet(kind, given)
    except ValueError as error:
        parser.error(str(error))
    allow_open_files(FILES_PER_BMC * len(fleet.addresses) + FILES_BESIDE)
    try:
        asyncio.run(fleet.run())
    except OSError as error:
        sys.stderr.write(f"{kind.program}: {error}\n")
        return 1
    return 0


class Fleet:
    """The BMCs that the command line asks for, of which some are silent.

    Raises:
        ValueError: an option is out of bounds; the words name it.
    """

    def __init__(self, kind: FleetKind, given: argparse.Namespace) -> None:
        self._kind, self._given = kind, given
        if given.machines < 1 or not 0 <= given.silent <= 1:
            raise ValueError("--machines: one or more; --silent: a share from 0 to 1")
        first = ipaddress.ip_address(given.base_address)
        self.addresses = [str(first + index) for index in range(given.machines)]
        chance = random.Random(given.seed)
        self.silent = set(chance.sample(self.addresses, round(given.machines * given.silent)))
        odds = Odds.parse(given.faults)
        self.bmcs = {
            address: self._bmc(index, odds)
            for index, address in enumerate(self.addresses)
            if address not in self.silent
        }

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        async with contextlib.AsyncExitStack() as stack:
            for address in self.silent:
                stack.callback(self._kind.silence(address, self._given.port).close)
            for address, bmc in self.bmcs.items():
                await bmc.serve(address, self._given.port)
                stack.push_async_callback(bmc.stop)
            _say(self._where())
            began_s = time.process_time()
            await told.wait()
            _say(self.counts() | {"cpu_s": round(time.process_time() - began_s, 3)})

    def counts(self) -> dict[str, object]:
        """What all BMCs together were asked for and did."""
        calls: Counter[str] = Counter()
        executed: Counter[str] = Counter()
        ledgers = [bmc.ledger for bmc in self.bmcs.values()]
        for ledger in ledgers:
            calls.update(ledger.calls)
            executed.update({button.value: times for button, times in ledger.executed.items()})
        return {
            "calls": calls,
            "executed": executed,
            "logins": sum(ledger.logins for ledger in ledgers),
            "refused_logins": sum(ledger.refused_logins for ledger in ledgers),
            "sessions": sum(ledger.sessions for ledger in ledgers),
            "sessions_expired": sum(ledger.sessions_expired for ledger in ledgers),
            "slots": sum(ledger.slots for ledger in ledgers),
            "slots_expired": sum(ledger.slots_expired for ledger in ledgers),
            "most_sessions": max((ledger.most_sessions for ledger in ledgers), default=0),
            "most_users": max((ledger.most_users for ledger in ledgers), default=0),
        }

    def _bmc(self, index: int, odds: Odds) -> VirtualBmc:
        ledger = TimedLedger()
        machine = FleetMachine(machine_id(index), ledger.tell if self._given.tell_presses else None)
        bmc = self._kind.make(machine, Dice(odds, f"{self._given.seed}/{index}"), ledger)
        bmc.status_delay_s = self._given.latency_s
        bmc.set_login(self._given.username, self._given.password)
        return bmc

    def _where(self) -> dict[str, object]:
        return {
            "port": self._given.port,
            "addresses": list(self.bmcs),
            "silent": sorted(self.silent, key=ipaddress.ip_address),
        }


def _parser(kind: FleetKind) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=kind.program, description=__doc__)
    parser.add_argument("--machines", type=int, default=1000, help="how many BMCs (1000)")
    parser.add_argument("--latency-s", type=float, default=0.0, help="what every answer takes, in seconds (0)")
    parser.add_argument("--silent", type=float, default=0.0, help="the share of them that never answers (0)")
    parser.add_argument("--base-address", default="127.78.0.1", help="the address of the first (127.78.0.1)")
    parser.add_argument("--port", type=int, default=kind.port, help=f"the port of all ({kind.port})")
    parser.add_argument("--username", default="admin", help="the user that may log in (admin)")
    parser.add_argument("--password", default="admin", help="that user's password (admin)")
    parser.add_argument("--faults", default="", help="how likely faults are: explicit=0.1,packet-loss=0.03 (none)")
    parser.add_argument("--tell-presses", action="store_true", help="a line more for each button when it is pressed")
    parser.add_argument("--seed", default="0", help="what chance begins with: the same fails the same (0)")
    return parser


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()

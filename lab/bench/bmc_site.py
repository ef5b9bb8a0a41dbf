"""Real watcher, Redis and workers over a fleet of virtual BMCs, and one sweep of it measured.

with BmcSite(API, 1000) as site:
    first = site.sweep()
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from celery import Celery

from app.machine.model import PreferredPowerState
from app.state.bmc_notes import NEXT
from app.state.connection import now_ms
from app.state.mirror_keys import machine_key
from config.celery import CELERY, QUEUE_BMC, QUEUE_POLL, broker_url
from lab.bench.bmc_fleet import REDFISH, BmcFleet, FleetProgram, Press
from lab.bench.fleet import put_machine
from lab.bench.processes import busy_s, cpu_s, family
from lab.bench.watched import PROGRAM, Watched
from lab.bmc.chassis import Button
from lab.omni import StandInOmni
from lab.ports import free_port

# Nobody else starts sweeps here: the next is waited for during most of it. Within half of it those BMCs have to begin
# that failed before, on a busy machine.
INTERVAL: Final = "15s"
SLOTS: Final = "om:sweep:*"  # which sweeps hold for most of the interval
WORKERS: Final = tuple((*PROGRAM, "worker", queue) for queue in (QUEUE_POLL, QUEUE_BMC))
UP_LIMIT_S: Final = 60.0  # Python processes beside each other on a busy machine
SWEEP_LIMIT_S: Final = 120.0
REST_LIMIT_S: Final = 120.0
ORDER_LIMIT_S: Final = 30.0
ORDER_PAUSE_S: Final = 0.3
LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep. The other seconds are of processor time until the last of the living was read.

    began_ms: by Redis' clock.
    wall_s: until then.
    stand_ins_s: of the BMCs and of Omni.
    others_s: of all the rest of this host, which is none of ours.
    unread: living BMCs that could not be read.
    """

    began_ms: int
    wall_s: float
    provider_s: float
    stand_ins_s: float
    others_s: float
    unread: int


@dataclass(frozen=True, slots=True)
class Order:
    """A power-on, in seconds since Omni wanted it: its session with the BMC begins, PXE is armed, the power goes on."""

    begins_s: float
    armed_s: float
    on_s: float


class BmcSite:
    """All of it; as a context manager."""

    def __init__(self, program: FleetProgram, machines: int) -> None:
        self.fleet = BmcFleet(program, machines)
        self.ordered: dict[str, float] = {}
        self._ends = ExitStack()
        self.watched: Watched
        self._celery: Celery

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            ends.enter_context(self.fleet)
            port = self.fleet.port if self.fleet.program is REDFISH else free_port()
            options = (f"--power-poll-interval={INTERVAL}", f"--redfish-port={port}")
            self.watched = Watched(list(self.fleet.addresses), self._put, WORKERS, options)
            ends.enter_context(self.watched)
            self.watched.settle()
            self._celery = Celery(broker=broker_url(self.watched.redis_url))
            self._celery.config_from_object(CELERY)
            ends.callback(self._celery.close)
            self._wait(self._is_idle, UP_LIMIT_S, "all workers up")
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def sweep(self, orders: Sequence[str] = ()) -> Sweep:
        """Have all BMCs read once, as the clock does. Raises TimeoutError: living ones were not read in time.

        orders: machines that Omni wants on meanwhile.
        """
        living, before = self.fleet.living, self._processor_times()
        began_s, began_ms = time.monotonic(), now_ms(self.watched.client)
        self._celery.send_task("power_sweep", queue=QUEUE_POLL)
        ordering = threading.Thread(target=self._order, args=(orders,), name="orders")
        ordering.start()
        self._wait(lambda: all(at >= began_ms for _, at in self._noted(living)), SWEEP_LIMIT_S, "all BMCs read")
        wall_s = time.monotonic() - began_s
        ordering.join()
        used = [after - start for after, start in zip(self._processor_times(), before, strict=True)]
        unread = sum(state not in ("ON", "OFF") for state, _ in self._noted(living))
        return Sweep(began_ms, wall_s, used[0], used[1], max(0.0, used[2] - used[0] - used[1]), unread)

    def rest(self) -> None:
        """Wait until no task runs: those of silent BMCs take longest. Raises TimeoutError."""
        self._wait(self._is_idle, REST_LIMIT_S, "no task running")

    def until_all_are_due(self) -> None:
        """Wait until a sweep may begin, and those that failed are to be asked again. Raises TimeoutError."""
        next_ms, client = max(self._next_ms(), default=0), self.watched.client
        self._wait(lambda: next_ms <= now_ms(client), REST_LIMIT_S, "silent BMCs due")
        self._wait(lambda: not any(client.scan_iter(SLOTS)), REST_LIMIT_S, "the next sweep due")

    def silent_asked(self, sweep: Sweep) -> int:
        """How many of the silent ones were asked in that sweep, once all of it has ended."""
        return sum(at >= sweep.began_ms for _, at in self._noted(self._silent()))

    def orders(self) -> list[Order]:
        """How soon after Omni wanted them on each of those machines was at it. Raises TimeoutError."""
        found = []
        for machine, began_s in self.ordered.items():
            self._wait(partial(self._press, machine, Button.POWER_ON), ORDER_LIMIT_S, "power-on at a BMC")
            armed, on = self._press(machine, Button.PXE_BOOT), self._press(machine, Button.POWER_ON)
            if armed and on:
                found.append(Order(armed.came_s - began_s, armed.at_s - began_s, on.at_s - began_s))
        return found

    def _order(self, machines: Sequence[str]) -> None:
        for machine in machines:
            self.ordered[machine] = self.watched.omni.do(partial(_prefer_on, machine))
            time.sleep(ORDER_PAUSE_S)

    def _press(self, machine: str, button: Button) -> Press | None:
        return next((press for press in self.fleet.pressed.get(machine, ()) if press.button == button), None)

    def _is_idle(self) -> bool:
        active = self._celery.control.inspect(timeout=1).active() or {}
        return len(active) == len(WORKERS) and not any(active.values())

    def _put(self, machine: str, omni: StandInOmni) -> None:
        put_machine(machine, omni, self.fleet.configuration(machine))

    def _processor_times(self) -> tuple[float, float, float]:
        """Seconds of the provider, of the stand-ins, and of all there is on this host."""
        ours = [pid for started in self.watched.pids for pid in family(started)]
        return cpu_s(ours), cpu_s([*family(self.fleet.pid), os.getpid()]), busy_s()

    def _noted(self, machines: Sequence[str]) -> list[tuple[str, int]]:
        """For each, the power as it was read last, and when (ms by Redis' clock)."""
        pipe = self.watched.client.pipeline(transaction=False)
        for machine in machines:
            pipe.hget(machine_key(machine), "f:power")
        notes = [(note or b"@0").decode().partition("@") for note in pipe.execute()]
        return [(state, int(at)) for state, _, at in notes]

    def _silent(self) -> list[str]:
        return sorted(set(self.fleet.addresses) - set(self.fleet.living))

    def _next_ms(self) -> list[int]:
        """When the silent ones are asked again, by Redis' clock."""
        pipe = self.watched.client.pipeline(transaction=False)
        for machine in self._silent():
            pipe.hget(machine_key(machine), NEXT)
        return [int(at or 0) for at in pipe.execute()]

    def _wait(self, holds: Callable[[], object], limit_s: float, what: str) -> None:
        deadline_s = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{what}: not within {limit_s:g} s\n{self.watched.last_words()}")
            time.sleep(LOOK_S)


def processors() -> int:
    """How many there are for us."""
    return len(os.sched_getaffinity(0))


def _prefer_on(machine: str, omni: StandInOmni) -> float:
    """Want a machine on; the answer is when that was about to begin (monotonic seconds)."""
    began_s = time.monotonic()
    omni.set_preferred_power(machine, PreferredPowerState.ON)
    return began_s

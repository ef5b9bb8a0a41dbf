"""Plays a life step by step on a rack, and tells an audience how it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from lab.life import Step
from lab.machine import VirtualMachine
from lab.rack import Rack

LOOK_S: Final = 0.1
LOOK_AT_MANY_S: Final = 0.5  # to look at hundreds of machines costs the loop that they live in
MANY: Final = 100


@dataclass(frozen=True, slots=True)
class Told:
    """How a step went.

    missing: by machine, what did not come true in time.
    reached: by machine, after how many seconds it came true.
    """

    step: str
    took_s: float
    machines: int
    missing: dict[str, str] = field(default_factory=dict)
    reached: dict[str, float] = field(default_factory=dict)


class Audience(Protocol):
    """Who is told."""

    def begun(self, step: Step) -> None:
        """A step begins; what the operator does for it was just done."""

    def reached(self, step: Step, machine: VirtualMachine, took_s: float) -> None:
        """A step has come true for one machine."""

    def ended(self, step: Step, told: Told) -> None:
        """A step has come true for all machines, or did not in time."""


class Story:
    """One life of a rack.

    check: called all the while; raises what ends the story, such as the end of the provider.
    """

    def __init__(self, rack: Rack, audience: Audience, check: Callable[[], None]) -> None:
        self._rack = rack
        self._audience = audience
        self._check = check
        self._look_s = LOOK_AT_MANY_S if len(rack.machines) > MANY else LOOK_S

    async def play(self, steps: Sequence[Step]) -> list[Told]:
        """Play the steps in turn; the first that does not come true in time is the last."""
        told = []
        for step in steps:
            told.append(await self._play(step))
            if told[-1].missing:
                break
        return told

    async def _play(self, step: Step) -> Told:
        began = time.monotonic()
        if step.act is not None:
            step.act(self._rack)
        self._audience.begun(step)
        missing, reached = dict.fromkeys(self._rack.machines, ""), dict[str, float]()
        while missing:
            self._check()
            missing = self._look(step, missing, began, reached)
            if missing and time.monotonic() - began > step.limit_s:
                break
            if missing:
                await asyncio.sleep(self._look_s)
        told = Told(
            step.name,
            time.monotonic() - began,
            len(self._rack.machines),
            {machine.id: words for machine, words in missing.items()},
            reached,
        )
        self._audience.ended(step, told)
        return told

    def _look(
        self, step: Step, missing: dict[VirtualMachine, str], began: float, reached: dict[str, float]
    ) -> dict[VirtualMachine, str]:
        still = {}
        for machine in missing:
            words = step.missing(machine, self._rack.observe(machine))
            if words:
                still[machine] = words
            else:
                reached[machine.id] = time.monotonic() - began
                self._audience.reached(step, machine, reached[machine.id])
        return still

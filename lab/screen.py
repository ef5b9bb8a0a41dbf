"""What a person sees of the rack: a live table at a terminal, plain lines anywhere else."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.machine.model import PowerState
from lab.by_kind import count_kinds
from lab.hardware import Stage
from lab.life import Step
from lab.machine import VirtualMachine
from lab.rack import Rack
from lab.story import Audience, Told

DRAW_S: Final = 0.25
# Of a terminal's height a part is for the last lines, some rows are for headings, and the rest is for machines.
PART_FOR_LINES: Final = 0.4
HEADINGS: Final = 7
LEAST_ROWS: Final = 2

STAGE_STYLES: Final = {
    Stage.OFF: "dim",
    Stage.FIRMWARE: "yellow",
    Stage.JOINING: "yellow",
    Stage.AGENT: "cyan",
    Stage.INSTALLING: "magenta",
    Stage.TALOS: "green",
    Stage.NOTHING_TO_BOOT: "red",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Where everything is."""

    rack: Rack
    pages: str
    log_path: Path
    flower: str = ""


class Screen(Audience, Protocol):
    """An audience that shows what it is told to a person."""

    def open(self, scene: Scene) -> None:
        """Begin to show the rack."""

    def say(self, words: str) -> None:
        """Show a line."""

    def close(self) -> None:
        """Give the terminal back."""


class PlainScreen:
    """Lines of text, each with the seconds since the start."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._began = time.monotonic()

    def open(self, scene: Scene) -> None:
        """Say where everything is."""
        machines = scene.rack.machines
        self.say(f"{len(machines)} machines ({count_kinds(machines)}); pages {scene.pages}; log {scene.log_path}")
        if scene.flower:
            self.say(f"Flower {scene.flower}")

    def say(self, words: str) -> None:
        """Write a line."""
        print(f"{time.monotonic() - self._began:7.1f} s  {words}", file=self._out, flush=True)

    def begun(self, step: Step) -> None:
        """Say what the operator has done."""
        if step.acted:
            self.say(step.acted)

    def reached(self, step: Step, machine: VirtualMachine, took_s: float) -> None:
        """Nothing is said of single machines."""

    def ended(self, step: Step, told: Told) -> None:
        """Say how the step went."""
        self.say(in_words(step, told))

    def close(self) -> None:
        """Nothing is held."""


class LiveScreen:
    """A table that is drawn anew several times a second, with the steps below it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._scene: Scene | None = None
        self._lines: list[str] = []
        self._last: dict[str, str] = {}
        self._step = ""
        # Drawn in the rack's own loop, since nobody else may look at what is in it.
        self._live = Live(console=console, auto_refresh=False, get_renderable=self._render)
        self._drawing: asyncio.Task[None] | None = None

    def open(self, scene: Scene) -> None:
        """Show the rack."""
        self._scene = scene
        self._live.start()
        self._drawing = asyncio.get_running_loop().create_task(self._draw())

    def say(self, words: str) -> None:
        """Add a line below the table, or write it where there is no table."""
        line = f"{time.monotonic() - self._began:7.1f} s  {words}"
        if self._live.is_started:
            self._lines.append(line)
        else:
            self._console.print(Text(line))

    def begun(self, step: Step) -> None:
        """Show what is waited for."""
        self._step = step.name
        if step.acted:
            self.say(step.acted)

    def reached(self, step: Step, machine: VirtualMachine, took_s: float) -> None:
        """Show it in the machine's row."""
        self._last[machine.id] = f"{step.name} after {took_s:.1f} s"

    def ended(self, step: Step, told: Told) -> None:
        """Add how the step went."""
        self._step = ""
        self.say(in_words(step, told))

    def close(self) -> None:
        """Leave the last picture where it is."""
        if self._drawing is not None:
            self._drawing.cancel()
            self._drawing = None
            self._live.refresh()
            self._live.stop()

    async def _draw(self) -> None:
        while True:
            self._live.refresh()
            await asyncio.sleep(DRAW_S)

    def _render(self) -> RenderableType:
        if self._scene is None:
            return Text("")
        scene, height = self._scene, self._console.size.height
        lines = max(LEAST_ROWS, int(height * PART_FOR_LINES))
        rows = max(LEAST_ROWS, height - lines - HEADINGS)
        head = f"omni-metal lab   {time.monotonic() - self._began:.0f} s   pages {scene.pages}"
        waiting = f"waiting for: {self._step}" if self._step else ""
        return Group(
            Text(head, style="bold"),
            Text(f"log {scene.log_path}; of the rack itself rack.log beside it", style="dim"),
            *([Text(f"Flower {scene.flower}", style="dim")] if scene.flower else []),
            rack_table(scene.rack, self._last, rows),
            Text("\n".join(self._lines[-lines:])),
            Text(waiting, style="yellow"),
        )


def choose_screen(out: TextIO) -> Screen:
    """A live table for a terminal, lines for everything else."""
    console = Console(file=out)
    return LiveScreen(console) if console.is_terminal and not console.is_dumb_terminal else PlainScreen(out)


def in_words(step: Step, told: Told) -> str:
    """How a step went, in a line."""
    if not told.missing:
        return f"{step.name}: all {told.machines} machines in {told.took_s:.1f} s"
    return f"{step.name}: {len(told.missing)} of {told.machines} machines not within {told.took_s:.0f} s"


def rack_table(rack: Rack, last: dict[str, str], rows: int) -> Table:
    """The machines, one a row, and how many did not fit."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("machine", "power", "runs", "agent", "BMC", "in Omni", "reported", "last step"):
        table.add_column(column, no_wrap=True)
    for machine in rack.machines[:rows]:
        table.add_row(*_row(rack, machine, last.get(machine.id, "")))
    if len(rack.machines) > rows:
        table.add_row(f"… and {len(rack.machines) - rows} more")
    return table


def _row(rack: Rack, machine: VirtualMachine, last: str) -> list[Text]:
    seen = rack.observe(machine)
    runs = f"{machine.stage.value}, wiping" if machine.wiping else machine.stage.value
    reported = [word for word, true in (("ready", seen.ready), ("installed", seen.installed)) if true]
    if seen.power is not PowerState.UNKNOWN:
        reported.append(seen.power.name.lower())
    return [
        Text(machine.id),
        Text("on", style="green") if machine.powered_on else Text("off", style="dim"),
        Text(runs, style=STAGE_STYLES[machine.stage]),
        Text("connected", style="cyan") if machine.tunnel_open else Text(""),
        Text(f"{machine.kind.value}, set up") if seen.bmc_configured else Text(machine.kind.value, style="dim"),
        Text(seen.place),
        Text(", ".join(reported)),
        Text(last, style="dim"),
    ]

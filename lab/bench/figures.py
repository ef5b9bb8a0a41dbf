"""What is measured of one run, and what the Go provider needed for the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GO = "Go provider 0.12, November 2026"
OURS = "omni-metal"


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: N machines in agent mode are accepted together, wipes take 2 s, BMCs answer /status in 100 ms.

    ready_s, off_s, reported_off_s: from accepting them until the last one is reported ready, has been powered off,
    and is reported as off. sweep_s: one reading of the power of all. calls: to Omni, per machine, from the provider's
    start. memory_mb: of all processes together at the end (PSS; of the Go provider its peak RSS). cpu_s: likewise.
    """

    who: str
    machines: int
    ready_s: float
    off_s: float
    reported_off_s: float
    sweep_s: float | None
    calls: float
    memory_mb: float
    cpu_s: float


# One run each on two shared cores; about 340 Gets and 15 Updates per machine.
GO_FIGURES = (
    Figures(GO, 10, 6.1, 6.1, 27.4, 1.03, 355, 90, 0.6),
    Figures(GO, 100, 50.4, 50.4, 55.1, 10.3, 355, 112, 5.0),
    Figures(GO, 500, 251.5, 251.4, 259.0, 52.1, 355, 181, 25.9),
    Figures(GO, 1000, 505.2, 505.0, 512.4, 113.9, 355, 264, 65.3),
)
_HEAD = ("machines", "", "ready s", "off s", "reported off s", "sweep s", "Omni calls each", "memory MB", "CPU s")


def table(measured: Sequence[Figures]) -> str:
    """A Markdown table of what was measured, next to the Go provider where its figures are known."""
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
    for figures in measured:
        lines.append(_line(_cells(figures)))
        lines += [_line(_cells(go)) for go in GO_FIGURES if go.machines == figures.machines]
    return "\n".join(lines) + "\n"


def _cells(figures: Figures) -> list[str]:
    sweep = "-" if figures.sweep_s is None else f"{figures.sweep_s:.2f}"
    times = (f"{s:.1f}" for s in (figures.ready_s, figures.off_s, figures.reported_off_s))
    rest = (sweep, f"{figures.calls:.1f}", f"{figures.memory_mb:.0f}", f"{figures.cpu_s:.1f}")
    return [str(figures.machines), figures.who, *times, *rest]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

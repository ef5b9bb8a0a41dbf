"""What a bench says: a table of figures, each with the bound that it has to keep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure in words, with its bound. holds: None where it is a goal, or only told."""

    what: str
    figure: str
    bound: str = ""
    holds: bool | None = None

    def cells(self) -> tuple[str, ...]:
        """What stands in the table."""
        verdict = "" if self.holds is None else "ok" if self.holds else "NOT OK"
        return self.what, self.figure, self.bound, verdict


def table(rows: Iterable[Row]) -> str:
    """A Markdown table of them."""
    head = ("what", "measured", "bound", "")
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ("---",) * 4, *(row.cells() for row in rows)))

"""The highest fencing number seen for each machine: a holder whose lease was taken over is turned away."""

from __future__ import annotations

from app.agents.errors import StaleFence


class Fences:
    """Numbers only rise, also when Redis was emptied; so what was seen stays true."""

    def __init__(self) -> None:
        self._highest: dict[str, int] = {}

    def check(self, machine_id: str, fence: int) -> None:
        """Note the number. Raises StaleFence if a higher one was seen."""
        highest = self._highest.get(machine_id, 0)
        if fence < highest:
            raise StaleFence(f"fence {fence} is older than {highest}: a later operation has taken the machine")
        self._highest[machine_id] = fence

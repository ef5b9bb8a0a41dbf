"""The one door to the BMCs."""

from __future__ import annotations

from app.machine.model import BmcConfiguration
from config.settings import Settings
from workers.bmc.choice import open_session
from workers.bmc.client import Bmc


class BmcDoor:
    """Opens sessions with BMCs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def open(self, machine_id: str, configuration: BmcConfiguration) -> Bmc:
        """A session with the machine's BMC, to be closed. Raises BmcError."""
        return open_session(machine_id, configuration, self._settings)

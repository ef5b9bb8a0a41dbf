"""Has a machine's BMC have refused a login, as Redis is told by the door."""

import redis

from app.machine.model import BmcConfiguration
from app.state.logins import REFUSED, RefusedLogins
from app.state.mirror_keys import machine_key
from app.state.secrets import Sealer


def note_refused(client: redis.Redis, sealer: Sealer, machine_id: str, login: BmcConfiguration) -> None:
    """The BMC refused this login."""
    note = RefusedLogins(client, sealer).note_of(REFUSED, machine_id, login)
    client.hset(machine_key(machine_id), REFUSED, note)

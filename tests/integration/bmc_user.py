"""A process that uses one BMC again and again through the product's door: `python -m tests.integration.bmc_user`.

The BMC is a stand-in that counts in Redis: how many use it now and at most, and when each session began and ended.
"""

import sys
import threading
import time
from pathlib import Path

import redis

from app.machine.model import BmcConfiguration, Ipmi, PowerState
from app.state.bmc_lease import BmcLeases
from app.state.logins import RefusedLogins
from app.state.secrets import Sealer
from config.settings import Settings
from workers.bmc import door
from workers.bmc.known import BmcKind, Known

LOGIN = BmcConfiguration(ipmi=Ipmi("192.0.2.1", 623, "admin", "correct horse"))
PLACE = "om:bmc:192.0.2.1:623"


class CountedBmc:
    """One session."""

    def __init__(self, client, kind):
        self.known, self._redis, self._began_s = Known(kind), client, time.time()
        if client.incr("users") > 1:
            client.incr("too-many")

    def power_state(self):
        time.sleep(0.01)
        return PowerState.ON

    def power_on(self):
        self._redis.incr("power-ons")

    def close(self):
        self._redis.decr("users")
        self._redis.rpush("sessions", f"{self._began_s} {time.time()}")


def use(the_door, sessions):
    for _ in range(sessions):
        bmc = the_door.open("m1", LOGIN)
        bmc.power_state()
        bmc.close()


def main(url, what, kind, sessions):
    client = redis.Redis.from_url(url)
    door.open_session = lambda *_, **__: CountedBmc(client, BmcKind(kind))
    settings = Settings(omni_api_endpoint="http://127.0.0.1:1", state_dir=Path("/nonexistent"))
    leases = BmcLeases(client, 200)
    the_door = door.BmcDoor(settings, leases, RefusedLogins(client, Sealer(bytes(32))))
    if what == "hold":
        bmc = the_door.open("m1", LOGIN)
        client.rpush("said", "held")
        sys.stdin.readline()
        try:
            bmc.power_on()
        except door.BmcInUse as error:
            client.rpush("said", str(error))
        bmc.close()
        return
    threads = [threading.Thread(target=use, args=(the_door, int(sessions))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])

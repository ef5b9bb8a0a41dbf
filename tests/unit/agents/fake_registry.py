"""A registry in memory, and tunnels without a wire."""

import redis

from app.state.agents import Standing


class FakeTunnel:
    def __init__(self):
        self.closed = ""

    @property
    def open(self):
        return not self.closed

    def close(self, reason):
        self.closed = self.closed or reason


class FakeRegistry:
    """The registry in memory: the last number of each machine, and who holds it.

    stands_elsewhere: machines whose entry is that of a younger tunnel from another address at another gateway.
    """

    def __init__(self):
        self.down = False
        self.numbers = {}
        self.entries = {}
        self.hellos = []
        self.left = False
        self.slow = None
        self.slow_renewal = None
        self.ages_ms = {}
        self.peers = {}
        self.holders = {}
        self.refusals = []
        self.stands_elsewhere = set()
        self.overs = []
        self.claims = []
        self.without_tls = 0

    def _check(self):
        if self.down:
            raise redis.ConnectionError("down")

    async def register(self, machine_id, gateway_id, address, tunnel_address, *, age_ms=0, over=0):
        self._check()
        if self.slow:
            await self.slow.wait()
        self.numbers[machine_id] = self.numbers.get(machine_id, 0) + 1
        self.overs.append(over)
        stands = machine_id not in self.stands_elsewhere
        if stands:
            self.entries[machine_id] = self.numbers[machine_id]
        return self.numbers[machine_id], stands

    async def hello(self, machine_id, number):
        self._check()
        self.hellos.append((machine_id, number))
        return self.numbers.get(machine_id, 0) <= number and machine_id not in self.stands_elsewhere

    async def claim(self, machine_id, gateway_id, address, mine):
        self._check()
        self.claims.append((machine_id, mine.number))
        lost = self.numbers.get(machine_id, 0) > mine.number and machine_id not in self.stands_elsewhere
        self.stands_elsewhere.discard(machine_id)
        return Standing.LOST if lost else Standing.KEPT

    async def renew(self, gateway_id, address, tunnels):
        self._check()
        held = {m: tunnel.number for m, tunnel in tunnels.items()}
        self.ages_ms = {m: tunnel.hello_age_ms for m, tunnel in tunnels.items()}
        self.peers = {m: tunnel.peer for m, tunnel in tunnels.items()}
        if self.slow_renewal:
            await self.slow_renewal.wait()
        contested = {m: Standing.CONTESTED for m in held if m in self.stands_elsewhere}
        lost = {m: Standing.LOST for m, n in held.items() if self.numbers.get(m, 0) > n}
        for machine_id in set(held) - set(lost) - set(contested):
            self.entries[machine_id] = self.numbers[machine_id] = held[machine_id]
        return lost | contested

    async def unregister(self, machine_id, number):
        self._check()
        if self.entries.get(machine_id) == number:
            del self.entries[machine_id]

    async def holder(self, machine_id):
        self._check()
        return self.holders.get(machine_id)

    async def refused(self, machine_id, address):
        self._check()
        self.refusals.append((machine_id, address))

    async def count_without_tls(self):
        self._check()
        self.without_tls += 1

    async def leave(self, gateway_id):
        self._check()
        self.left = True

"""One user per BMC: whatever several users do, and however their leases end, no two may send at the same time."""

import fakeredis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.state.bmc_lease import BmcLeases, InUse, Taken

PLACE = "192.0.2.1:623"
KEY, PAUSE = f"om:bmc:{PLACE}", f"om:bmc-pause:{PLACE}"
USERS = st.integers(0, 3)


class OneUser(RuleBasedStateMachine):
    """Users take, extend and give back, leases run out, and Redis is emptied."""

    def __init__(self):
        super().__init__()
        self.redis = fakeredis.FakeRedis()
        self.leases = BmcLeases(self.redis, 1_000)
        self.held: dict[int, Taken] = {}
        self.owner: int | None = None  # by what Redis has answered

    @rule(user=USERS)
    def take(self, user):
        if user in self.held:
            return
        free = self.owner is None and not self.redis.exists(PAUSE)
        answer = self.leases.take("m1", PLACE)
        assert isinstance(answer, Taken if free else InUse)
        if isinstance(answer, Taken):
            self.held[user], self.owner = answer, user

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def extend(self, data):
        user = data.draw(st.sampled_from(sorted(self.held)))
        may = self.leases.extend(self.held[user])
        assert may is (self.owner in (None, user))
        if may:
            self.owner = user

    @precondition(lambda self: self.held)
    @rule(data=st.data(), pause=st.booleans())
    def give_back(self, data, pause):
        user = data.draw(st.sampled_from(sorted(self.held)))
        before = self.redis.exists(PAUSE)
        self.leases.give_back(self.held.pop(user), {"f:bmc-next": 7}, pause=pause)
        assert bool(self.redis.exists(PAUSE)) is bool(before or (pause and self.owner == user))
        if self.owner == user:
            self.owner = None

    @rule()
    def time_passes(self):
        self.redis.delete(KEY, PAUSE)
        self.owner = None

    @rule()
    def pause_ends(self):
        self.redis.delete(PAUSE)

    @invariant()
    def lease_stands_where_somebody_may_send_and_ends_by_itself(self):
        assert bool(self.redis.exists(KEY)) is (self.owner is not None)
        if self.owner is not None:
            assert self.redis.get(KEY) == self.held[self.owner].token.encode()
            assert 0 < self.redis.pttl(KEY) <= 30_000


OneUser.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestOneUser = OneUser.TestCase

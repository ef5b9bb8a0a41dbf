"""What runs or is queued on machines, in one look."""

import fakeredis

from app.state.lease import Leases


def test_operation_that_runs_comes_before_the_one_that_is_queued_and_idle_machines_are_left_out() -> None:
    leases = Leases(fakeredis.FakeRedis())
    assert leases.at_work([]) == leases.at_work(["a", "b", "c"]) == {}
    leases.take("a", "wipe", "t1")
    leases.take("b", "reboot", "t2")
    leases._redis.set("om:queued:b", "power_on")
    leases.mark_queued("c", "power_off")
    assert leases.at_work(["d", "c", "b", "a"]) == {"a": "wipe", "b": "reboot", "c": "power_off"}

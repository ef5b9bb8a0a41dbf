"""An old iPXE gets our binary once in five minutes, by a clock that the test holds."""

import pytest

from netboot.dhcp.loop_guard import ATTEMPT_S, BINARY_KNOWN_S, MOST_MACHINES, LoopGuard

MAC = "52:54:00:12:34:56"


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def guard(clock):
    return LoopGuard(clock)


def test_first_attempt_gets_the_binary_and_the_next_the_script(guard):
    assert [guard.wants_script(MAC, xid) for xid in (1, 2)] == [False, True]


def test_packets_of_one_attempt_get_one_answer(guard, clock):
    for xid, script in ((1, False), (2, True)):
        for _ in range(4):
            assert guard.wants_script(MAC, xid) is script
            clock.now_s += 8


def test_machines_do_not_disturb_each_other(guard):
    assert not guard.wants_script(MAC, 1)
    assert not guard.wants_script("52:54:00:00:00:02", 2)


def test_binary_is_forgotten_after_five_minutes(guard, clock):
    guard.wants_script(MAC, 1)
    clock.now_s += BINARY_KNOWN_S - 1
    assert guard.wants_script(MAC, 2)
    clock.now_s += 1
    assert not guard.wants_script(MAC, 3)


def test_script_does_not_prolong_the_five_minutes(guard, clock):
    told = []
    for xid in range(8):
        told.append(guard.wants_script(MAC, xid))
        clock.now_s += BINARY_KNOWN_S / 3
    assert told == [False, True, True, False, True, True, False, True]


def test_transaction_id_that_never_changes_does_not_loop_for_ever(guard, clock):
    assert not guard.wants_script(MAC, 1)
    clock.now_s += ATTEMPT_S
    assert guard.wants_script(MAC, 1)


def test_invented_machines_take_bounded_memory_and_push_out_the_oldest(guard):
    guard.wants_script(MAC, 1)
    for number in range(MOST_MACHINES):
        guard.wants_script(f"mac {number}", 1)
    assert guard.machines == MOST_MACHINES
    assert guard.wants_script("mac 1", 2)
    assert not guard.wants_script(MAC, 2)


def test_machine_that_asked_again_is_not_the_oldest(guard):
    guard.wants_script(MAC, 1)
    for number in range(MOST_MACHINES - 1):
        guard.wants_script(f"mac {number}", 1)
    guard.wants_script(MAC, 2)
    guard.wants_script("one more", 1)
    assert guard.wants_script(MAC, 3)


def test_machine_whose_binary_served_it_well_gets_it_again_at_its_next_boot(guard):
    guard.wants_script(MAC, 1)
    guard.forget(MAC)
    assert not guard.wants_script(MAC, 2)
    guard.forget("52:54:00:00:00:02")

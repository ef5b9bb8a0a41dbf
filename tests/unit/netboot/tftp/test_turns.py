"""Whose turn it is to be sent a file."""

from netboot.tftp.sockets import Client
from netboot.tftp.turns import MOST_AT_ONCE, MOST_WAITING, WAIT_LIMIT_S, Turns, Waiting
from netboot.tftp.verdict import Mode, Send

ORDER = Send("snp.efi", Mode.OCTET)
OF_ONE = MOST_AT_ONCE * 3 // 4


def waiting(address="10.0.0.1", port=1, asked_s=0.0):
    return Waiting(ORDER, Client((address, port), "10.0.0.254"), asked_s)


def take_all(turns):
    taken = []
    while one := turns.take():
        taken.append(one)
    return taken


def addresses(number):
    return [f"10.1.{n // 250}.{n % 250}" for n in range(number)]


def test_nobody_waits_nobody_is_taken():
    assert Turns().take() is None


def test_first_come_first_served():
    turns = Turns()
    clients = [waiting(port=port) for port in (3, 1, 2)]
    assert all(turns.line_up(one) for one in clients)
    assert take_all(turns) == clients


def test_no_more_at_once_than_the_limit_and_the_next_when_one_is_served():
    turns = Turns()
    clients = [waiting(address) for address in addresses(MOST_AT_ONCE + 2)]
    for one in clients:
        turns.line_up(one)
    assert take_all(turns) == clients[:MOST_AT_ONCE]
    turns.served(clients[0].client)
    assert take_all(turns) == [clients[MOST_AT_ONCE]]


def test_one_address_leaves_room_for_others():
    turns = Turns()
    for port in range(100):
        turns.line_up(waiting(port=port))
    other = waiting("10.0.0.2")
    turns.line_up(other)
    taken = take_all(turns)
    assert len(taken) == OF_ONE + 1
    assert taken[-1] == other
    turns.served(taken[0].client)
    assert len(take_all(turns)) == 1


def test_who_asks_again_keeps_the_place_and_is_taken_once():
    turns = Turns()
    turns.line_up(waiting(port=1, asked_s=0.0))
    turns.line_up(waiting(port=2, asked_s=1.0))
    turns.line_up(waiting(port=1, asked_s=2.0))
    assert take_all(turns) == [waiting(port=1, asked_s=2.0), waiting(port=2, asked_s=1.0)]


def test_line_has_an_end_and_one_address_does_not_fill_it():
    turns = Turns()
    assert sum(turns.line_up(waiting(port=port)) for port in range(2 * MOST_WAITING)) == MOST_WAITING * 3 // 4
    assert sum(turns.line_up(waiting(address)) for address in addresses(2 * MOST_WAITING)) == MOST_WAITING // 4


def test_who_has_not_asked_again_is_forgotten():
    turns = Turns()
    turns.line_up(waiting(port=1, asked_s=0.0))
    turns.line_up(waiting(port=2, asked_s=1.0))
    assert turns.forget_old(WAIT_LIMIT_S + 0.5) == 1
    assert take_all(turns) == [waiting(port=2, asked_s=1.0)]


def test_nothing_is_kept_of_addresses_that_are_done():
    turns = Turns()
    for address in addresses(500):
        turns.line_up(waiting(address))
    while taken := turns.take():
        turns.served(taken.client)
    assert not turns._served
    assert not turns._waiting
    assert not turns._line

import pytest

from lab.bmc.dice import Fault, Odds
from lab.bmc.ipmi.handshake import Status
from lab.bmc.ipmi.keys import SUITES, Suite
from lab.bmc.ipmi.sessions import SLOTS
from tests.unit.lab.bmc.ipmi.console import Console
from tests.unit.lab.bmc.ipmi.test_server import run


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: f"suite {suite.number}")
def test_wrong_password_shows_on_both_sides(suite):
    async def scene(wire):
        console = Console(wire, suite=suite, password="wrong")
        await console.open(), await console.identify()
        return console.bmc_knows_password, await console.prove(), await console.prove()

    said, bmc, _ = run(scene)

    assert said == (False, Status.CODE_WRONG, Status.SESSION_UNKNOWN)
    assert (bmc.ledger.logins, bmc.ledger.refused_logins, bmc.ledger.users, bmc.ledger.sessions) == (0, 1, 0, 0)


def test_program_that_says_that_the_bmc_is_the_wrong_one_is_not_let_in():
    async def scene(wire):
        console = Console(wire)
        await console.open(), await console.identify()
        return await console.prove(status=Status.CODE_WRONG)

    said, bmc, _ = run(scene)

    assert (said, bmc.ledger.refused_logins) == (Status.CODE_WRONG, 1)


@pytest.mark.parametrize(
    ("user", "role", "status"),
    [
        ("nobody", 0x14, Status.NAME_UNKNOWN),
        ("", 0x14, Status.NAME_UNKNOWN),
        ("a name that is too long", 0x14, Status.NAME_LENGTH),
        ("admin", 0x15, Status.PRIVILEGE_UNAVAILABLE),
        ("admin", 0x11, Status.PRIVILEGE_UNAVAILABLE),
    ],
)
def test_refused_name_or_level_costs_the_slot(user, role, status):
    async def scene(wire):
        console = Console(wire, user=user)
        await console.open()
        return await console.identify(role), await console.identify(role)

    said, bmc, _ = run(scene)

    assert said == (status, Status.SESSION_UNKNOWN)
    assert bmc.ledger.refused_logins == 1


def test_level_of_the_name_is_bound_by_that_of_the_session():
    async def scene(wire):
        console = Console(wire)
        await console.open(privilege=2)
        return await console.identify(role=0x14)

    assert run(scene)[0] == Status.PRIVILEGE_UNAVAILABLE


def test_suite_that_is_not_known_and_level_that_is_none_get_no_slot():
    async def scene(wire):
        none = Console(wire, suite=Suite(0, "sha1", 0, (0, 0, 0)))
        return await none.open(), await Console(wire).open(privilege=5)

    assert run(scene)[0] == (Status.NO_SUITE, Status.PRIVILEGE_UNAVAILABLE)


def test_full_bmc_says_that_no_session_is_left_until_one_is_closed():
    async def scene(wire):
        consoles = [await Console(wire, number).login() for number in range(SLOTS)]
        full = await Console(wire, 9).open()
        await consoles[0].close()
        return full, await Console(wire, 9).open()

    said, bmc, _ = run(scene)

    assert said == (Status.NO_SESSION_LEFT, Status.OK)
    assert bmc.ledger.most_sessions == SLOTS


def test_program_that_lost_the_last_answer_may_ask_again():
    async def scene(wire):
        console = Console(wire)
        await console.open(), await console.identify()
        return await console.prove(), await console.prove(), await console.ask(0, 1)

    said, bmc, _ = run(scene)

    assert said == (0, 0, (0, bytes(3)))
    assert (bmc.ledger.logins, bmc.ledger.sessions) == (1, 1)


@pytest.mark.parametrize(
    ("odds", "statuses"),
    [(Odds(busy=1), [Status.NO_SESSION_LEFT]), (Odds(unauthorized=1), [Status.OK, Status.NAME_UNKNOWN])],
)
def test_faults_of_the_handshake(odds, statuses):
    async def scene(wire):
        wire.bmc.dice.odds = odds
        console = Console(wire)
        return [await step() for step in (console.open, console.identify)[: len(statuses)]]

    assert run(scene)[0] == statuses


def test_refusals_of_the_login_before_are_none_of_the_next_one():
    async def scene(wire):
        console = Console(wire, user="nobody")
        await console.open(), await console.identify()
        before = wire.bmc.ledger.refused_in_a_row
        wire.bmc.set_login("admin", "another")
        return before, wire.bmc.ledger.refused_in_a_row

    assert run(scene)[0] == (1, 0)


@pytest.mark.parametrize("lost", ["second", "third"])
def test_handshake_that_a_lost_packet_ends_is_no_refused_login(lost):
    async def scene(wire):
        console = Console(wire)
        await console.open()
        if lost == "second":  # on its way out: the first has come in
            wire.bmc.dice.falls = lambda fault: fault is Fault.PACKET_LOSS and wire.bmc.calls["login"]
            assert await console.identify() is None
        else:
            await console.identify()
            wire.bmc.dice.falls = lambda fault: fault is Fault.PACKET_LOSS
            assert await console.prove() is None
        wire.bmc.dice.falls = lambda _: False
        await console.open()  # who begins anew has given up what it had begun

    _, bmc, _ = run(scene)

    assert (bmc.ledger.logins, bmc.ledger.refused_logins) == (0, 0)


def test_login_that_is_set_anew_is_the_one_that_counts():
    async def scene(wire):
        wire.bmc.set_login("admin", "another")
        wire.bmc.set_login("second", "x")
        await (await Console(wire, 1, password="another").login()).close()
        await (await Console(wire, 2, user="second", password="x").login()).close()
        old = Console(wire, 3)
        await old.open(), await old.identify()
        return await old.prove()

    assert run(scene)[0] == Status.CODE_WRONG


@pytest.mark.parametrize(("user", "password"), [("u" * 17, "pA55"), ("u", "pA55" * 6)])
def test_login_that_ipmi_has_no_room_for_is_an_error(user, password):
    async def scene(wire):
        with pytest.raises(ValueError, match="users of 16 and passwords of 20 bytes") as caught:
            wire.bmc.set_login(user, password)
        return str(caught.value)

    assert password not in run(scene)[0]

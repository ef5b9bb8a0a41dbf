import pytest

from lab.bmc.conduct import misconduct
from lab.bmc.dice import Odds
from lab.bmc.ledger import Ledger


def refuse(ledger, times):
    for _ in range(times):
        ledger.login(accepted=False)


def two_users(ledger):
    with ledger.serving("a"), ledger.serving("b"):
        pass


def two_sessions(ledger):
    ledger.session_opened()
    ledger.session_opened()


def leave_session(ledger):
    ledger.session_opened()
    ledger.session_closed(expired=True)


def leave_slot(ledger):
    ledger.slot_taken()
    ledger.slot_freed(expired=True)


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (two_users, "2 users at a time at its BMC"),
        (Ledger.asked_gracefully, "1 graceful resets at its BMC"),
        (lambda ledger: refuse(ledger, 4), "4 refused logins in a row at its BMC"),
        (leave_session, "1 sessions at its BMC that nobody closed"),
        (leave_slot, "1 logins at its BMC whose slot nobody gave back"),
        (two_sessions, "2 sessions open at a time at its BMC"),
    ],
)
def test_deed_that_no_bmc_should_see_is_told(deed, words):
    ledger = Ledger()
    deed(ledger)

    assert misconduct(ledger, Odds()) == [words]


def test_good_conduct_is_not_told():
    ledger = Ledger()
    refuse(ledger, 3)
    with ledger.serving("a"):
        ledger.session_opened()
        ledger.session_closed()
    with ledger.serving("b"):
        ledger.session_opened()

    assert misconduct(ledger, Odds()) == []


@pytest.mark.parametrize("odds", [Odds(packet_loss=0.1), Odds(drop_after=0.1)])
def test_session_that_may_have_been_closed_in_vain_is_not_told(odds):
    ledger = Ledger()
    leave_session(ledger)
    leave_slot(ledger)
    two_sessions(ledger)

    assert misconduct(ledger, odds) == []

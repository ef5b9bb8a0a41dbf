from lab.bmc.chassis import Button
from lab.bmc.ledger import Ledger


def test_what_is_asked_for_and_what_is_done_stand_apart():
    ledger = Ledger()
    ledger.called("reboot")
    ledger.called("reboot")
    ledger.pressed(Button.REBOOT)

    assert ledger.calls == {"reboot": 2}
    assert ledger.executed == {Button.REBOOT: 1}


def test_refusals_in_a_row_end_with_a_login_and_with_another_password():
    ledger = Ledger()
    for accepted in (False, False, True, False, False, False):
        ledger.login(accepted=accepted)
    ledger.login_changed()
    ledger.login(accepted=False)

    assert (ledger.logins, ledger.refused_logins) == (1, 6)
    assert (ledger.refused_in_a_row, ledger.most_refused_in_a_row) == (1, 3)


def test_sessions_are_counted_with_those_that_nobody_closed():
    ledger = Ledger()
    ledger.session_opened()
    ledger.session_opened()
    ledger.session_closed()
    ledger.session_closed(expired=True)

    assert (ledger.sessions, ledger.most_sessions, ledger.sessions_expired) == (0, 2, 1)


def test_one_peer_with_two_connections_is_one_user():
    ledger = Ledger()
    with ledger.serving("a"), ledger.serving("a"):
        assert ledger.users == 1
    assert (ledger.users, ledger.most_users) == (0, 1)
    with ledger.serving("a"), ledger.serving("b"):
        assert ledger.users == 2
    assert (ledger.users, ledger.most_users) == (0, 2)

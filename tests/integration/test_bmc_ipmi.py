"""The IPMI client against BMCs that behave badly: what reaches the machine, how long it takes, what is left open."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.machine.model import PowerState
from lab.bmc.chassis import Button
from lab.bmc.dice import Odds
from tests.integration.bad_ipmi import (
    CLOSE,
    CONTROL,
    DEVICE_ID,
    EVER,
    OPEN,
    OPENED,
    PLAIN,
    RAKP1,
    RAKP2,
    RAKP3,
    RAKP4,
    SET_BOOT,
    SET_LEVEL,
    STATUS,
    BadBmcs,
    login_of,
    nonsense,
)
from tests.integration.children import wait_until
from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcError, BmcRefused, BmcUnreachable, BmcUnsupported
from workers.bmc.ipmi import connect, login, wire
from workers.bmc.ipmi.session import open_ipmi
from workers.bmc.known import BmcKind, Known

pytestmark = pytest.mark.integration

# All limits are a tenth of what they are, so that nothing here waits for long.
SCALE = 10
# But where the answer to a packet comes shortly before it would be sent again: not on a busy host.
SLOW_SCALE = 4
LIMITS = (
    (connect, ("FIRST_ANSWER_S", "REFUSED_PAUSE_S")),
    (login, ("LEAST_PATIENCE_S", "MOST_PATIENCE_S", "LOGIN_S")),
    (wire, ("COMMAND_S", "CLOSE_S", "LEAST_PATIENCE_S")),
)
KNOWN = Known(BmcKind.IPMI)


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    scale_limits(monkeypatch, 1 / SCALE)


def scale_limits(monkeypatch, by):
    for module, names in LIMITS:
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name) * by)


@pytest.fixture(scope="module")
def bmcs():
    made = BadBmcs()
    yield made
    made.close()


@pytest.fixture
def bmc(bmcs):
    return bmcs.add()


def opened(bmc, **options):
    return open_ipmi(login_of(bmc), KNOWN, **options)


def is_clean(bmc):
    """Nobody is left at the BMC, and whoever was there has closed the door."""
    ledger = bmc.ledger
    return (bmc.slots_taken, ledger.sessions, ledger.sessions_expired, ledger.most_sessions) == (0, 0, 0, 1)


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", None), ("::1", None), ("127.0.0.1", "localhost")])
def test_machine_is_read_armed_switched_and_cycled_once_each_in_one_session(bmcs, host, address):
    bmc = bmcs.add(host)
    session = open_ipmi(login_of(bmc, address=address), None)
    assert session.power_state() is PowerState.OFF
    assert session.arm_pxe("uefi") == ""
    session.power_on()
    assert session.power_state() is PowerState.ON
    session.reboot()
    session.power_off()
    assert session.power_state() is PowerState.OFF
    session.close()
    assert session.known.firmware == "1.00"
    wanted = dict.fromkeys((Button.PXE_BOOT, Button.POWER_ON, Button.REBOOT, Button.POWER_OFF), 1)
    assert bmc.ledger.executed == wanted
    assert bmc.ledger.calls["resent"] == 0
    assert is_clean(bmc)


def test_wrong_password_is_tried_once(bmc):
    with pytest.raises(BmcAuthenticationFailed, match="has another password") as caught:
        open_ipmi(login_of(bmc, password="another"), KNOWN)
    assert caught.value.executed is False
    assert bmc.packets[RAKP1] == 1
    wait_until(lambda: not bmc.slots_taken, 1)
    assert bmc.ledger.refused_logins == 1


def test_wrong_password_of_a_login_that_has_worked_is_tried_three_times(bmc):
    with pytest.raises(BmcAuthenticationFailed):
        open_ipmi(login_of(bmc, password="another"), KNOWN, login_worked=True)
    assert bmc.packets[RAKP1] == 3


def test_login_that_has_worked_and_is_refused_once_goes_on(bmcs):
    bmc = bmcs.add(odds="unauthorized=1")
    with pytest.raises(BmcAuthenticationFailed):
        opened(bmc)
    with ThreadPoolExecutor(1) as pool:
        session = pool.submit(opened, bmc, login_worked=True)
        time.sleep(connect.REFUSED_PAUSE_S / 2)
        bmc.dice.odds = Odds()
        assert session.result().power_state() is PowerState.OFF
        session.result().close()
    assert is_clean(bmc)


@pytest.mark.parametrize(("login_worked", "times"), [(False, 1), (True, 3)])
def test_user_that_the_bmc_does_not_know_is_refused_as_often_as_a_wrong_password(bmc, login_worked, times):
    with pytest.raises(BmcAuthenticationFailed, match="Unauthorized name") as caught:
        open_ipmi(login_of(bmc, user="nobody"), KNOWN, login_worked=login_worked)
    assert caught.value.refusals == bmc.packets[RAKP1] == bmc.ledger.refused_logins == times


@pytest.mark.parametrize("status", [0x09, 0x0A])
@pytest.mark.parametrize("loses", [0, 1])
def test_user_that_is_no_administrator_is_logged_in_as_operator(bmc, status, loses):
    bmc.no_administrator, bmc.lose_out[OPENED] = status, loses
    session = opened(bmc)
    session.power_on()
    session.close()
    assert bmc.ledger.executed == {Button.POWER_ON: 1}
    assert is_clean(bmc)


def test_bmc_without_a_slot_is_busy_until_somebody_leaves(bmc):
    bmc.sessions.slots = 1
    first = opened(bmc)
    with pytest.raises(BmcBusy, match="no session left") as caught:
        opened(bmc)
    assert caught.value.executed is False
    first.close()
    opened(bmc).close()
    assert is_clean(bmc)


def test_two_users_of_one_bmc_have_a_session_each(bmc):
    first, second = opened(bmc), opened(bmc)
    assert bmc.ledger.sessions == 2
    first.close()
    assert second.power_state() is PowerState.OFF
    second.close()
    assert bmc.ledger.sessions == 0


def test_silent_bmc_costs_the_time_of_a_first_answer_and_three_packets(bmc):
    bmc.lose_in[PLAIN] = EVER
    began_s = time.monotonic()
    with pytest.raises(BmcUnreachable, match="does not answer") as caught:
        opened(bmc)
    assert connect.FIRST_ANSWER_S <= time.monotonic() - began_s < 2 * connect.FIRST_ANSWER_S
    assert caught.value.executed is False
    assert bmc.packets == {PLAIN: 3}


def test_address_where_nobody_listens_is_known_at_once():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    began_s = time.monotonic()
    with pytest.raises(BmcUnreachable, match="ConnectionRefusedError"):
        open_ipmi(login_of(BadAddress(port)), KNOWN)
    assert time.monotonic() - began_s < connect.FIRST_ANSWER_S


class BadAddress:
    host = "127.0.0.1"

    def __init__(self, port):
        self.port = port


@pytest.mark.parametrize("verb", ["power_on", "power_off", "reboot"])
def test_command_whose_answer_is_lost_is_done_once_and_nobody_knows(bmc, verb):
    bmc.machine.powered_on = verb != "power_on"
    session = opened(bmc)
    bmc.lose_answer[CONTROL] = EVER
    with pytest.raises(BmcUnreachable, match="did not answer power") as caught:
        getattr(session, verb)()
    assert caught.value.executed is None
    assert session.power_state() is (PowerState.OFF if verb == "power_off" else PowerState.ON)
    session.close()
    assert bmc.ledger.executed.total() == 1
    assert bmc.ledger.calls["resent"] == 0
    assert is_clean(bmc)


def test_command_that_is_lost_is_not_sent_again(bmc):
    session = opened(bmc)
    bmc.lose_request[CONTROL] = 1
    with pytest.raises(BmcUnreachable) as caught:
        session.power_on()
    assert caught.value.executed is None
    session.close()
    assert bmc.ledger.executed.total() == 0


@pytest.mark.parametrize("lost", [("lose_request", SET_BOOT), ("lose_answer", SET_BOOT)])
def test_arm_whose_answer_is_lost_is_not_sent_again(bmc, lost):
    getattr(bmc, lost[0])[lost[1]] = EVER
    session = opened(bmc)
    with pytest.raises(BmcUnreachable) as caught:
        session.arm_pxe("uefi")
    assert caught.value.executed is None
    session.close()
    assert bmc.ledger.calls["resent"] == 0


@pytest.mark.parametrize(
    ("where", "kind"),
    [("lose_in", kind) for kind in (PLAIN, OPEN, RAKP1, RAKP3)]
    + [("lose_out", kind) for kind in (PLAIN, OPENED, RAKP2, RAKP4)],
)
@pytest.mark.parametrize("times", [1, 2])
def test_login_that_loses_packets_ends_open_and_leaves_nothing_behind(bmc, where, kind, times):
    getattr(bmc, where)[kind] = times
    session = opened(bmc)
    assert session.power_state() is PowerState.OFF
    session.close()
    assert is_clean(bmc)


def test_bmc_that_breaks_off_the_login_is_unreachable_within_the_limit(bmc):
    bmc.lose_out[OPENED] = EVER
    began_s = time.monotonic()
    with pytest.raises(BmcUnreachable, match="not the login") as caught:
        opened(bmc)
    assert time.monotonic() - began_s < login.LOGIN_S
    assert caught.value.executed is False
    assert bmc.packets[OPEN] == login.BEGINNINGS


def test_bmc_that_keeps_silent_about_a_user_is_asked_no_oftener_than_one_that_refuses(bmc):
    """It may count each time as a failed login."""
    bmc.lose_in[PLAIN], bmc.lose_out[OPENED], bmc.lose_out[RAKP2] = 1, 1, EVER
    with pytest.raises(BmcUnreachable, match="silent where there is no such user") as caught:
        opened(bmc)
    assert caught.value.executed is False
    assert caught.value.backoff_s[0] >= 60
    assert caught.value.refusals == bmc.packets[RAKP1] == 3


def test_answer_that_comes_too_late_is_not_taken_for_the_next_one(bmc):
    session = opened(bmc)
    bmc.status_delay_s, bmc.late_s[CONTROL] = wire.COMMAND_S * 0.3, wire.COMMAND_S * 0.8
    with pytest.raises(BmcUnreachable):
        session.power_on()
    assert session.power_state() is PowerState.ON
    session.close()


def test_answer_that_comes_too_late_is_not_taken_for_that_to_the_next_command_of_its_kind(bmc):
    session = opened(bmc)
    bmc.status_delay_s, bmc.late_s[CONTROL] = wire.COMMAND_S * 0.3, wire.COMMAND_S * 0.8
    with pytest.raises(BmcUnreachable):
        session.power_on()
    bmc.late_s.clear()
    bmc.codes[CONTROL] = 0xC0
    with pytest.raises(BmcBusy):
        session.power_off()
    session.close()


@pytest.mark.parametrize("request_name", [SET_LEVEL, DEVICE_ID, STATUS, CLOSE])
@pytest.mark.parametrize("where", ["lose_request", "lose_answer"])
def test_question_that_is_lost_is_asked_again(bmc, where, request_name):
    getattr(bmc, where)[request_name] = 1
    session = open_ipmi(login_of(bmc), None)
    assert session.power_state() is PowerState.OFF
    session.close()
    assert is_clean(bmc)


def test_session_that_is_lost_is_left_and_a_question_begins_another(bmc):
    session = opened(bmc)
    bmc.lose_answer[STATUS] = wire.QUESTION_TRIES
    with pytest.raises(BmcUnreachable) as caught:
        session.power_state()
    assert caught.value.executed is False
    with pytest.raises(BmcUnreachable, match="was lost before"):
        session.power_on()
    assert session.power_state() is PowerState.OFF
    session.power_on()
    session.close()
    assert bmc.ledger.executed == {Button.POWER_ON: 1}
    assert is_clean(bmc)


def test_session_that_is_lost_is_begun_anew_though_the_login_is_refused_twice(bmc):
    session = opened(bmc)
    bmc.lose_answer[STATUS] = wire.QUESTION_TRIES
    with pytest.raises(BmcUnreachable):
        session.power_state()
    bmc.refusals = 2
    assert session.power_state() is PowerState.OFF
    session.close()
    assert bmc.packets[RAKP1] == 4
    assert is_clean(bmc)


def test_refused_login_is_tried_again_after_the_rest_that_weak_bmcs_want(bmc):
    bmc.refusals = 1
    began_s = time.monotonic()
    opened(bmc, login_worked=True, rest_s=4 * connect.REFUSED_PAUSE_S).close()
    assert time.monotonic() - began_s >= 4 * connect.REFUSED_PAUSE_S


@pytest.mark.parametrize(
    ("code", "error", "executed"),
    [
        (0xC0, BmcBusy, False),
        (0xC1, BmcUnsupported, False),
        (0xCC, BmcUnsupported, False),
        (0xD5, BmcUnsupported, False),
        (0xC3, BmcRefused, None),
        (0xFF, BmcRefused, None),
    ],
)
def test_command_that_is_refused_is_sent_once(bmc, code, error, executed):
    bmc.codes[CONTROL] = code
    session = opened(bmc)
    with pytest.raises(error) as caught:
        session.reboot()
    session.close()
    assert caught.value.executed is executed
    assert bmc.ledger.calls[Button.REBOOT] == 1
    assert bmc.ledger.executed.total() == 0
    assert is_clean(bmc)


@pytest.mark.parametrize(("code", "error"), [(0x80, BmcAuthenticationFailed), (0xC0, BmcBusy), (0xC3, BmcRefused)])
def test_session_without_privilege_is_closed(bmc, code, error):
    bmc.codes[SET_LEVEL] = code
    with pytest.raises(error):
        opened(bmc)
    assert is_clean(bmc)


def test_slow_bmc_is_waited_for_and_sent_nothing_twice(bmc, monkeypatch):
    scale_limits(monkeypatch, SCALE / SLOW_SCALE)
    bmc.status_delay_s = 2.5 / SLOW_SCALE
    session = opened(bmc)
    assert session.power_state() is PowerState.OFF
    session.power_on()
    session.close()
    assert bmc.packets[PLAIN] == bmc.packets[OPEN] == 1
    assert bmc.ledger.executed == {Button.POWER_ON: 1}
    assert bmc.ledger.calls["resent"] == 0
    assert is_clean(bmc)


def test_packets_that_are_no_answers_are_passed_over(bmc):
    bmc.noise = nonsense(7)
    session = open_ipmi(login_of(bmc), None)
    session.power_on()
    assert session.power_state() is PowerState.ON
    session.close()
    assert is_clean(bmc)


@pytest.mark.parametrize("kind", [0, 2])
def test_packet_of_an_older_protocol_within_a_session_is_passed_over(bmc, kind):
    """Its number must not be taken for the last one that the BMC has sent: all that come after would be too old."""
    session = opened(bmc)
    bmc.noise = (bytes([6, 0, 0xFF, 7, kind, 0xFE, 0xFF, 0xFF, 0xFF]) + bytes(30),)
    assert session.power_state() is PowerState.OFF
    session.power_on()
    session.close()
    assert bmc.ledger.executed == {Button.POWER_ON: 1}
    assert bmc.ledger.calls["resent"] == 0
    assert is_clean(bmc)


def test_number_that_a_packet_has_outside_of_a_session_means_nothing(bmc):
    bmc.noise = (bytes([6, 0, 0xFF, 7, 0, 0xFE, 0xFF, 0xFF, 0xFF]) + bytes(5),)
    session = opened(bmc)
    assert session.power_state() is PowerState.OFF
    session.close()
    assert bmc.packets[PLAIN] == 1
    assert is_clean(bmc)


def test_flood_of_packets_puts_no_limit_off(bmc):
    """Whoever drips cannot hold a worker."""
    bmc.lose_out[OPENED] = EVER
    bmc.noise = nonsense(8) * 20
    began_s = time.monotonic()
    with pytest.raises(BmcUnreachable):
        opened(bmc)
    assert time.monotonic() - began_s < login.LOGIN_S * 2


def test_many_threads_with_lost_packets_all_come_through(bmcs):
    """pyghmi's own sessions hang here."""
    many = [bmcs.add(odds="packet-loss=0.03", seed=number) for number in range(40)]

    def read(bmc):
        session = opened(bmc)
        try:
            return session.power_state()
        finally:
            session.close()

    with ThreadPoolExecutor(40) as pool:
        states = [future.exception() or future.result() for future in [pool.submit(read, bmc) for bmc in many]]
    assert states.count(PowerState.OFF) >= 38, states
    assert all(state is PowerState.OFF or isinstance(state, BmcError) for state in states)
    assert {bmc.ledger.most_sessions for bmc in many} == {1}

import pytest

from app.machine.model import Ipmi, PowerState
from workers.bmc.errors import (
    BmcAuthenticationFailed,
    BmcBusy,
    BmcError,
    BmcInUse,
    BmcRefused,
    BmcUnreachable,
    BmcUnsupported,
)
from workers.bmc.ipmi import session
from workers.bmc.ipmi.login import NoAnswer
from workers.bmc.ipmi.session import open_ipmi
from workers.bmc.ipmi.wire import Answer
from workers.bmc.known import BmcKind, Known

IPMI = Ipmi("192.0.2.7", 623, "admin", "secret")
KNOWN = Known(BmcKind.IPMI)
STATUS, CONTROL, SET, GET, DEVICE = (0, 1), (0, 2), (0, 8), (0, 9), (6, 1)
ON, OFF = Answer(0, bytes([0x61, 0x10, 0x40])), Answer(0, bytes([0x60, 0x10, 0x40]))
LOST = NoAnswer()


class ScriptedWire:
    """answers: what comes to each question or command, the last for ever; an exception is raised."""

    def __init__(self, **answers):
        self._answers = {name: list(listed) for name, listed in answers.items()}
        self.sent, self.ended = [], []

    def ask(self, netfn, command, data=b""):
        return self._answer("ask", netfn, command, data)

    def command(self, netfn, command, data):
        return self._answer("command", netfn, command, data)

    def end(self):
        self.ended.append("end")
        return True

    def leave(self):
        self.ended.append("leave")

    def _answer(self, kind, netfn, command, data):
        self.sent.append((kind, (netfn, command), data))
        name = {STATUS: "status", CONTROL: "control", SET: "set", GET: "get", DEVICE: "device"}[netfn, command]
        listed = self._answers.get(name, [Answer(0)])
        answer = listed.pop(0) if len(listed) > 1 else listed[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def commands(self):
        return [(of, data) for kind, of, data in self.sent if kind == "command"]


class Logins:
    """What each login gives, and when.

    wires: in turn; an exception is raised.
    patience: how many refusals each may have.
    rests_s: how long each waits between two tries.
    began_s: when each was made.
    clock: whose time passes where somebody sleeps.
    """

    def __init__(self):
        self.wires, self.patience, self.rests_s, self.began_s = [], [], [], []
        self.clock = Clock()

    def log_in(self, ipmi, refusals, rest_s):
        assert ipmi is IPMI
        self.patience.append(refusals)
        self.rests_s.append(rest_s)
        self.began_s.append(self.clock.now_s)
        wire = self.wires.pop(0)
        if isinstance(wire, Exception):
            raise wire
        return wire

    def opened(self, *later, options=None, **answers):
        wire = ScriptedWire(**answers)
        self.wires = [wire, *later]
        return open_ipmi(IPMI, KNOWN, **(options or {})), wire


class Clock:
    """In the place of the module `time`."""

    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        return self.now_s

    def sleep(self, seconds):
        assert seconds >= 0
        self.now_s += seconds


class Lease:
    """Is somebody else's after so many looks at it."""

    def __init__(self, looks):
        self.left, self.looks = looks, 0

    def still_ours(self):
        self.looks += 1
        self.left -= 1
        if self.left < 0:
            raise BmcInUse("somebody else uses the BMC by now", executed=False)


@pytest.fixture
def logins(monkeypatch):
    made = Logins()
    monkeypatch.setattr(session, "log_in", made.log_in)
    monkeypatch.setattr(session, "time", made.clock)
    return made


@pytest.mark.parametrize(("answer", "state"), [(ON, PowerState.ON), (OFF, PowerState.OFF)])
def test_power_is_read_from_the_chassis_status(logins, answer, state):
    bmc, _ = logins.opened(status=[answer])
    assert bmc.power_state() is state


def test_status_without_a_byte_is_no_answer(logins):
    bmc, _ = logins.opened(status=[Answer(0, b"")])
    with pytest.raises(BmcRefused):
        bmc.power_state()


@pytest.mark.parametrize(("verb", "control"), [("power_off", 0), ("power_on", 1), ("reboot", 2)])
def test_power_command_is_sent_once(logins, verb, control):
    bmc, wire = logins.opened()
    getattr(bmc, verb)()
    assert wire.sent == [("command", CONTROL, bytes([control]))]


@pytest.mark.parametrize("verb", ["power_off", "power_on", "reboot"])
@pytest.mark.parametrize("error", [NoAnswer(), ConnectionRefusedError()])
def test_power_command_without_an_answer_may_have_been_done_and_is_not_sent_again(logins, verb, error):
    bmc, wire = logins.opened(control=[error])
    with pytest.raises(BmcUnreachable) as caught:
        getattr(bmc, verb)()
    assert caught.value.executed is None
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    ("code", "error", "executed"),
    [(0xC0, BmcBusy, False), (0xC1, BmcUnsupported, False), (0xCC, BmcUnsupported, False), (0xFF, BmcRefused, None)],
)
def test_power_command_that_is_refused_is_not_sent_again(logins, code, error, executed):
    bmc, wire = logins.opened(control=[Answer(code)])
    for verb in (bmc.power_on, bmc.power_off, bmc.reboot):
        with pytest.raises(error) as caught:
            verb()
        assert caught.value.executed is executed
    assert len(wire.sent) == 3


def test_power_cycle_in_a_state_that_has_none_was_surely_not_done(logins):
    bmc, wire = logins.opened(control=[Answer(0xD5)])
    with pytest.raises(BmcUnsupported, match="the machine is off, or starts") as caught:
        bmc.reboot()
    assert caught.value.executed is False
    assert len(wire.sent) == 1


def test_power_on_of_what_is_on_already_has_succeeded(logins):
    bmc, wire = logins.opened(control=[Answer(0xD5)], status=[ON])
    bmc.power_on()
    assert wire.commands() == [(CONTROL, b"\x01")]


def test_power_off_that_the_state_does_not_allow_has_failed_while_it_is_on(logins):
    bmc, wire = logins.opened(control=[Answer(0xD5)], status=[ON])
    with pytest.raises(BmcUnsupported):
        bmc.power_off()
    assert wire.commands() == [(CONTROL, b"\x00")]


def test_pxe_is_armed_once_and_read_back(logins):
    bmc, wire = logins.opened(get=[Answer(0, bytes([1, 5, 0xA0, 4, 0, 0, 0]))])
    assert bmc.arm_pxe("uefi") == ""
    assert wire.commands() == [(SET, b"\x03\x08"), (SET, bytes([5, 0xA0, 4, 0, 0, 0]))]
    assert wire.sent[-1] == ("ask", GET, b"\x05\0\0")


@pytest.mark.parametrize(
    ("shown", "words"),
    [(Answer(0, bytes([1, 5, 0x80, 4, 0])), "it shows BIOS"), (Answer(0xFF), "0xff"), (Answer(0x80), "0x80")],
)
def test_pxe_arm_that_is_not_shown_is_said_and_no_failure(logins, shown, words):
    bmc, _ = logins.opened(get=[shown])
    assert words in bmc.arm_pxe("uefi")


@pytest.mark.parametrize("code", [0x80, 0xC9, 0xCC])
def test_bmc_that_cannot_keep_the_order_is_armed_all_the_same(logins, code):
    bmc, wire = logins.opened(set=[Answer(code), Answer(0)], get=[Answer(0, bytes([1, 5, 0xA0, 4, 0]))])
    assert bmc.arm_pxe("uefi") == ""
    assert len(wire.commands()) == 2


@pytest.mark.parametrize(
    ("answers", "error", "sent"),
    [
        ([Answer(0xC0)], BmcBusy, 1),
        ([Answer(0), Answer(0x80)], BmcUnsupported, 2),
        ([Answer(0), LOST], BmcUnreachable, 2),
        ([LOST], BmcUnreachable, 1),
    ],
)
def test_pxe_arm_that_fails_is_not_sent_again(logins, answers, error, sent):
    bmc, wire = logins.opened(set=answers)
    with pytest.raises(error):
        bmc.arm_pxe("uefi")
    assert len(wire.sent) == sent


def test_pxe_arm_of_which_the_read_back_is_lost_has_been_done(logins):
    bmc, _ = logins.opened(get=[LOST])
    with pytest.raises(BmcUnreachable) as caught:
        bmc.arm_pxe("uefi")
    assert caught.value.executed is True


def test_question_without_an_answer_commanded_nothing_and_the_next_one_logs_in_anew(logins):
    again = ScriptedWire(status=[ON])
    bmc, wire = logins.opened(again, status=[LOST])
    with pytest.raises(BmcUnreachable) as caught:
        bmc.power_state()
    assert caught.value.executed is False
    assert wire.ended == ["leave"]
    assert bmc.power_state() is PowerState.ON
    bmc.close()
    assert again.ended == ["end"]
    assert wire.ended == ["leave"]


def test_command_after_a_lost_session_is_never_sent(logins):
    again = ScriptedWire()
    bmc, _ = logins.opened(again, status=[LOST])
    with pytest.raises(BmcUnreachable):
        bmc.power_state()
    for verb in (bmc.power_on, bmc.power_off, bmc.reboot, lambda: bmc.arm_pxe("uefi")):
        with pytest.raises(BmcUnreachable, match="was lost before") as caught:
            verb()
        assert caught.value.executed is False
    assert again.sent == []


def test_login_that_is_refused_after_a_lost_session_is_said(logins):
    bmc, _ = logins.opened(BmcAuthenticationFailed("no", executed=False), status=[LOST])
    with pytest.raises(BmcUnreachable):
        bmc.power_state()
    with pytest.raises(BmcAuthenticationFailed):
        bmc.power_state()


def test_login_of_this_very_session_is_refused_once_and_believed_in(logins):
    bmc, _ = logins.opened(ScriptedWire(status=[ON]), status=[LOST])
    with pytest.raises(BmcUnreachable):
        bmc.power_state()
    bmc.power_state()
    assert logins.patience == [1, 3]


def lost_after(refusals):
    error = BmcUnreachable("gone", executed=False)
    error.refusals = refusals
    return error


def test_refusals_of_logins_that_were_lost_count_on_in_this_session(logins):
    refused = BmcAuthenticationFailed("no", executed=False)
    bmc, _ = logins.opened(lost_after(2), lost_after(0), refused, status=[LOST])
    for _ in range(3):
        with pytest.raises(BmcUnreachable):
            bmc.power_state()
    with pytest.raises(BmcAuthenticationFailed) as caught:
        bmc.power_state()
    with pytest.raises(BmcUnreachable, match="not asked for another session"):
        bmc.power_state()
    assert logins.patience == [1, 3, 1, 1]
    assert caught.value.refusals == 3


def test_login_that_works_ends_the_count_of_refusals_in_this_session(logins):
    bmc, _ = logins.opened(lost_after(2), ScriptedWire(status=[LOST]), ScriptedWire(status=[ON]), status=[LOST])
    for _ in range(3):
        with pytest.raises(BmcUnreachable):
            bmc.power_state()
    assert bmc.power_state() is PowerState.ON
    assert logins.patience == [1, 3, 1, 3]


def test_no_further_login_follows_three_that_may_have_been_refused(logins):
    bmc, _ = logins.opened(lost_after(3), ScriptedWire(status=[ON]), status=[LOST])
    for _ in range(2):
        with pytest.raises(BmcUnreachable):
            bmc.power_state()
    with pytest.raises(BmcUnreachable, match="not asked for another session") as caught:
        bmc.power_state()
    assert (caught.value.executed, caught.value.refusals, caught.value.backoff_s[0]) == (False, 0, 60)
    assert logins.patience == [1, 3]


@pytest.mark.parametrize(("passed_s", "began_s"), [(0, 5), (2, 5), (60, 60)])
def test_weak_bmc_is_let_rest_before_a_second_session(logins, passed_s, began_s):
    bmc, _ = logins.opened(ScriptedWire(status=[ON]), options={"rest_s": 5}, status=[LOST])
    logins.clock.now_s = 100
    with pytest.raises(BmcUnreachable):
        bmc.power_state()
    logins.clock.now_s += passed_s
    bmc.power_state()
    assert logins.began_s == [0, 100 + began_s]
    assert logins.rests_s == [5, 5]


def test_no_second_session_is_begun_where_somebody_else_has_the_bmc_by_then(logins):
    lease = Lease(0)
    bmc, _ = logins.opened(ScriptedWire(), options={"still_ours": lease.still_ours}, status=[LOST])
    with pytest.raises(BmcUnreachable):
        bmc.power_state()
    with pytest.raises(BmcInUse):
        bmc.power_state()
    assert len(logins.began_s) == 1


@pytest.mark.parametrize("verb", ["power_off", "power_on", "reboot"])
def test_power_command_is_not_sent_where_somebody_else_has_the_bmc_by_then(logins, verb):
    bmc, wire = logins.opened(options={"still_ours": Lease(0).still_ours})
    with pytest.raises(BmcInUse) as caught:
        getattr(bmc, verb)()
    assert caught.value.executed is False
    assert wire.sent == []


@pytest.mark.parametrize("looks", [0, 1])
def test_pxe_is_armed_by_no_command_that_comes_after_somebody_else_has_the_bmc(logins, looks):
    bmc, wire = logins.opened(options={"still_ours": Lease(looks).still_ours})
    with pytest.raises(BmcInUse) as caught:
        bmc.arm_pxe("uefi")
    assert caught.value.executed is False
    assert len(wire.sent) == looks


def test_questions_do_not_ask_whose_the_bmc_is(logins):
    lease = Lease(0)
    bmc, _ = logins.opened(options={"still_ours": lease.still_ours}, status=[ON])
    bmc.power_state()
    assert lease.looks == 0


def test_session_is_closed_once(logins):
    bmc, wire = logins.opened()
    bmc.close()
    bmc.close()
    assert wire.ended == ["end"]


@pytest.mark.parametrize(
    ("known", "login_worked", "refusals"),
    [
        (KNOWN, False, 1),
        (None, False, 1),
        (KNOWN, True, 3),
        (None, True, 3),
        (Known(BmcKind.IPMI, vendor="HPE"), False, 3),
        (Known(BmcKind.IPMI, vendor="Dell"), False, 1),
    ],
)
def test_refusal_is_believed_at_once_unless_the_login_has_worked_or_the_vendor_is_known_for_it(
    logins, known, login_worked, refusals
):
    logins.wires = [ScriptedWire()]
    open_ipmi(IPMI, known, login_worked=login_worked)
    assert logins.patience == [refusals]


def test_bmc_is_asked_what_it_is_when_nothing_is_known(logins):
    wire = ScriptedWire(device=[Answer(0, bytes([0x20, 1, 1, 0x73, 2, 0xBF, 0xA2, 2, 0, 0, 1]))])
    logins.wires = [wire]
    bmc = open_ipmi(IPMI, None)
    assert (bmc.known.vendor, bmc.known.firmware) == ("Dell", "1.73")
    assert [of for _, of, _ in wire.sent] == [DEVICE]


def test_what_redfish_found_out_is_not_taken_over(logins):
    logins.wires = [ScriptedWire(device=[Answer(0xC1)])]
    bmc = open_ipmi(IPMI, Known(BmcKind.REDFISH, system="/redfish/v1/Systems/1", vendor="Dell"))
    assert bmc.known == KNOWN


def test_bmc_that_does_not_tell_what_it_is_can_be_used(logins):
    logins.wires = [ScriptedWire(device=[Answer(0xC1)], status=[ON])]
    bmc = open_ipmi(IPMI, None)
    assert bmc.known == KNOWN
    assert bmc.power_state() is PowerState.ON


def test_session_that_is_lost_while_asked_what_it_is_is_left(logins):
    wire = ScriptedWire(device=[LOST])
    logins.wires = [wire]
    with pytest.raises(BmcUnreachable):
        open_ipmi(IPMI, None)
    assert wire.ended == ["leave"]


def test_no_error_shows_the_password(logins):
    bmc, _ = logins.opened(control=[LOST], status=[Answer(0xD4)])
    for verb in (bmc.power_on, bmc.power_state):
        with pytest.raises(BmcError) as caught:
            verb()
        assert "secret" not in caught.value.words()
        assert "192.0.2.7:623" in str(caught.value)

import asyncio
import time

import pytest

from lab.bmc.chassis import Button
from lab.bmc.dice import Dice, Odds
from lab.bmc.ipmi.handshake import OpenRequest
from lab.bmc.ipmi.keys import SUITES
from lab.bmc.ipmi.messages import Request
from lab.bmc.ipmi.packets import ASF_NUMBER, Frame, Payload, Plain
from tests.unit.lab.bmc.ipmi.console import MOMENT_S, Chassis, Console, outside, until, wired

OPEN = Frame(Payload.OPEN_REQUEST, OpenRequest(1, 0, 2, SUITES[0].algorithms).packed())
PXE_ONCE = bytes([5, 0xA0, 0x04, 0, 0, 0])


def run(scene, **made):
    """Play a scene with a BMC; the answer is what it returns, the BMC and the chassis."""

    async def play():
        with wired(**made) as (wire, chassis):
            said = await scene(wire)
            await wire.bmc.stop()
            return said, wire.bmc, chassis

    return asyncio.run(play())


def test_ping_is_answered_with_the_same_tag():
    ping = b"\x06\x00\xff\x06" + ASF_NUMBER + b"\x80\x2a\x00\x00"

    answer, _, _ = run(lambda wire: wire.exchange(ping))

    assert answer[:12] == b"\x06\x00\xff\x06" + ASF_NUMBER + b"\x40\x2a\x00\x10"
    assert len(answer) == 28 and answer[20] & 0x80


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: f"suite {suite.number}")
def test_session_from_login_to_close_leaves_no_slot_taken(suite):
    async def scene(wire):
        console = await Console(wire, suite=suite).login()
        return await console.ask(0, 1), await console.close(), await console.ask(0, 1)

    said, bmc, _ = run(scene, chassis=Chassis(powered_on=True))

    assert said == ((0, b"\x01\x00\x00"), (0, b""), None)
    assert (bmc.ledger.logins, bmc.ledger.sessions, bmc.ledger.users, bmc.ledger.most_users) == (1, 0, 0, 1)
    assert bmc.calls == {"open session": 1, "login": 1, "status": 1}


def test_ipmi_1_5_has_no_login():
    async def scene(wire):
        return await outside(wire, 6, 0x38, b"\x0e\x04"), await outside(wire, 6, 0x39, bytes(17))

    ((done, about), challenge), _, _ = run(scene)

    assert (done, about[1], about[3]) == (0, 0, 0)
    assert challenge == (0xC1, b"")


def test_command_outside_of_a_session_is_refused():
    said, _, chassis = run(lambda wire: outside(wire, 0, 2, b"\x01"))

    assert said == (0xD4, b"")
    assert chassis.pressed == []


def test_question_of_rmcp_plus_outside_of_a_session_is_answered_in_kind():
    async def scene(wire):
        console = Console(wire)
        return await console.step(Payload.IPMI, bytes.fromhex("2018c8810454") + b"\x0e\x00\x80" + b"\x99")

    payload, _, _ = run(scene)

    assert payload[6] == 0 and payload[8:-1].startswith(b"\xc0\x03")


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x06\x00\xff\x07",
        b"garbage that is long enough to be something",
        Plain(b"\x20\x18\xc8\x81\x04\x38\x0e\x04\x00").packed(),
        Plain(b"", session_id=5).packed(),
        Frame(Payload.OPEN_REQUEST, b"short").packed(),
        OPEN.packed() + b"\x00",
        Frame(Payload.OPEN_RESPONSE, OPEN.payload).packed(),
        Plain(Request(7, 0x38, b"\x0e\x04").packed()).packed(),
        Frame(Payload.RAKP1, bytes(12)).packed(),
        Frame(Payload.IPMI, b"\x20", session_id=9, signed=True, trailer=bytes(14)).packed(),
    ],
)
def test_garbage_gets_no_answer(damaged):
    async def scene(wire):
        return await wire.exchange(damaged), await wire.exchange(OPEN.packed())

    (answer, usual), _, _ = run(scene)

    assert answer is None and usual is not None


def test_packet_with_one_changed_bit_gets_no_answer_and_does_nothing():
    async def scene(wire):
        console = await Console(wire).login()
        packed = console.packed(0, 2, b"\x01")
        wire.came.clear()
        for place in range(len(packed)):
            changed = bytearray(packed)
            changed[place] ^= 1
            wire.bmc.came(bytes(changed), console.peer)
        await asyncio.sleep(MOMENT_S)
        return list(wire.came), await wire.exchange(packed, console.peer)

    (answers, answer), bmc, chassis = run(scene)

    assert answers == [] and answer is not None
    assert chassis.pressed == ["poweron"]
    assert bmc.calls["poweron"] == 1


def test_command_sent_again_is_done_again_and_counted():
    async def scene(wire):
        console = await Console(wire).login()
        first = await console.ask(0, 2, b"\x02")
        retried = await console.ask(0, 2, b"\x02", request=console.request)
        replayed = await console.ask(0, 2, b"\x02", request=console.request, sequence=console.sequence)
        return first, retried, replayed

    said, bmc, chassis = run(scene, chassis=Chassis(powered_on=True))

    assert said == ((0, b""), (0, b""), (0, b""))
    assert chassis.pressed == ["reboot"] * 3
    assert (bmc.calls["resent"], bmc.calls["resent reboot"], bmc.ledger.executed[Button.REBOOT]) == (2, 2, 3)


def test_question_sent_again_is_no_command_sent_again():
    async def scene(wire):
        console = await Console(wire).login()
        return await console.ask(0, 1), await console.ask(0, 1, request=console.request)

    said, bmc, _ = run(scene)

    assert said == ((0, bytes(3)), (0, bytes(3)))
    assert {name for name in bmc.calls if name.startswith("resent")} == {"resent"}


def test_next_command_of_the_same_kind_is_no_repetition():
    async def scene(wire):
        console = await Console(wire).login()
        await console.ask(0, 1)
        await console.ask(0, 1)

    _, bmc, _ = run(scene)

    assert bmc.calls["resent"] == 0


@pytest.mark.parametrize("sequence", [0, 500])
def test_packet_number_out_of_the_window_gets_no_answer(sequence):
    async def scene(wire):
        console = await Console(wire).login()
        return await console.ask(0, 2, b"\x01", sequence=sequence), await console.ask(0, 1)

    (odd, usual), _, chassis = run(scene)

    assert odd is None and usual[0] == 0
    assert chassis.pressed == []


def test_held_command_has_come_in_and_is_done_when_let_go():
    async def scene(wire):
        hold = wire.bmc.hold(Button.REBOOT)
        console = await Console(wire).login()
        answer = await console.ask(0, 2, b"\x02")
        before = (answer, hold.waiting, wire.bmc.calls["reboot"], wire.bmc.ledger.executed[Button.REBOOT])
        hold.release()
        await asyncio.sleep(MOMENT_S)
        return before, console.read(wire.came[0][0])

    said, bmc, _ = run(scene, chassis=Chassis(powered_on=True))

    assert said == ((None, 1, 1, 0), (0, b""))
    assert bmc.ledger.executed[Button.REBOOT] == 1


def test_command_whose_answer_is_held_is_done_at_once():
    async def scene(wire):
        hold = wire.bmc.hold(Button.REBOOT, done=True)
        console = await Console(wire).login()
        answer = await console.ask(0, 2, b"\x02")
        before = (answer, hold.waiting, wire.bmc.ledger.executed[Button.REBOOT])
        hold.release()
        await asyncio.sleep(MOMENT_S)
        return before, console.read(wire.came[0][0])

    said, bmc, _ = run(scene, chassis=Chassis(powered_on=True))

    assert said == ((None, 1, 1), (0, b""))
    assert bmc.ledger.executed[Button.REBOOT] == 1


def test_held_command_is_forgotten_by_a_bmc_that_is_stopped():
    async def scene(wire):
        hold = wire.bmc.hold(Button.POWER_ON)
        console = await Console(wire).login()
        await console.ask(0, 2, b"\x01")
        await wire.bmc.stop()
        hold.release()
        await asyncio.sleep(0.002)

    _, _, chassis = run(scene)

    assert chassis.pressed == []


def test_latency_is_added_to_every_answer():
    async def scene(wire):
        wire.bmc.status_delay_s = 0.05
        began_s = time.monotonic()
        assert await Console(wire).open() is None
        await until(lambda: wire.came)
        return time.monotonic() - began_s

    took_s, _, _ = run(scene)

    assert took_s >= 0.05


def test_lost_packets_are_no_fault_of_their_sender():
    async def scene(wire):
        console = await Console(wire).login()
        wire.bmc.dice.odds = Odds(packet_loss=1)
        answers = [await console.ask(0, 2, b"\x01"), await console.close()]
        wire.bmc.dice.odds = Odds()
        for session in wire.bmc.sessions._open.values():
            session.heard_s -= 60
        await Console(wire, 2).login()
        return answers

    said, bmc, chassis = run(scene)

    assert said == [None, None]
    assert chassis.pressed == []
    assert (bmc.ledger.sessions_expired, bmc.ledger.most_users, bmc.ledger.refused_logins) == (0, 1, 0)


@pytest.mark.parametrize(
    ("odds", "completion", "pressed"),
    [
        (Odds(explicit=1), 0xFF, []),
        (Odds(busy=1), 0xC0, []),
        (Odds(silent=1), 0, []),
        (Odds(silent=1, drop_after=1), 0, []),
        (Odds(drop_after=1), None, ["poweron"]),
        (Odds(slow=1, slow_s=9), None, ["poweron"]),
    ],
)
def test_faults_of_a_command(odds, completion, pressed):
    async def scene(wire):
        console = await Console(wire).login()
        wire.bmc.dice.odds = odds
        return await console.ask(0, 2, b"\x01")

    said, bmc, chassis = run(scene)

    assert said == (None if completion is None else (completion, b""))
    assert chassis.pressed == pressed
    assert (bmc.calls["poweron"], bmc.ledger.executed[Button.POWER_ON]) == (1, len(pressed))


def test_order_to_boot_from_the_network_that_is_silently_dropped_does_not_read_back():
    async def scene(wire):
        console = await Console(wire).login()
        wire.bmc.dice.odds = Odds(silent=1)
        return await console.ask(0, 8, PXE_ONCE), await console.ask(0, 9, bytes([5, 0, 0]))

    said, _, chassis = run(scene)

    assert said == ((0, b""), (0, b"\x01\x05" + bytes(5)))
    assert not chassis.armed


def test_wrong_state_tells_the_opposite():
    async def scene(wire):
        return await (await Console(wire).login()).ask(0, 1)

    said, _, _ = run(scene, dice=Dice(Odds(wrong_state=1)), chassis=Chassis(powered_on=True))

    assert said == (0, bytes(3))


def test_timer_drops_a_handshake_that_is_left_alone(monkeypatch):
    monkeypatch.setattr("lab.bmc.ipmi.sessions.HANDSHAKE_S", 0.02)

    async def scene(wire):
        await Console(wire).open()
        await until(lambda: not wire.bmc.sessions._open)

    _, bmc, _ = run(scene)

    assert bmc.ledger.users == 0

import struct

import pytest

from lab.bmc.chassis import Button
from tests.unit.lab.bmc.ipmi.console import Chassis, Console
from tests.unit.lab.bmc.ipmi.test_server import PXE_ONCE, run

PXE_ALWAYS = bytes([5, 0xE0, 0x04, 0, 0, 0])
DISK_ONCE = bytes([5, 0x80, 0x08, 0, 0, 0])
READ_FLAGS = bytes([5, 0, 0])


def asking(*requests, level=4):
    """A scene: the answers to these, in one session."""

    async def scene(wire):
        console = await Console(wire).login(level)
        return [await console.ask(*request) for request in requests]

    return scene


@pytest.mark.parametrize(
    ("powered_on", "control", "completion", "pressed"),
    [
        (True, 0, 0, "poweroff"),
        (False, 1, 0, "poweron"),
        (True, 2, 0, "reboot"),
        (True, 3, 0, "reboot"),
        (False, 2, 0xD5, None),
        (False, 3, 0xD5, None),
        (True, 4, 0xCC, None),
        (True, 6, 0xCC, None),
    ],
)
def test_chassis_control(powered_on, control, completion, pressed):
    said, bmc, chassis = run(asking((0, 2, bytes([control]))), chassis=Chassis(powered_on=powered_on))

    assert said == [(completion, b"")]
    assert chassis.pressed == ([pressed] if pressed else [])
    assert bmc.ledger.executed.total() == len(chassis.pressed)
    assert bmc.ledger.graceful_resets == 0


def test_soft_shutdown_is_told_from_a_hard_one():
    _, bmc, chassis = run(asking((0, 2, b"\x05")), chassis=Chassis(powered_on=True))

    assert (bmc.ledger.graceful_resets, chassis.pressed) == (1, ["poweroff"])


def test_order_to_boot_from_the_network_reads_back_until_the_boot():
    said, bmc, chassis = run(asking((0, 8, PXE_ONCE), (0, 9, READ_FLAGS), (0, 2, b"\x01"), (0, 9, READ_FLAGS)))

    assert said[1] == (0, b"\x01" + PXE_ONCE)
    assert said[3] == (0, b"\x01\x05\x20\x04\0\0\0")
    assert chassis.pressed == ["pxeboot", "poweron"]
    assert bmc.calls["pxeboot"] == bmc.ledger.executed[Button.PXE_BOOT] == 1


def test_order_that_the_machine_has_followed_by_itself_reads_back_no_more():
    async def scene(wire):
        console = await Console(wire).login()
        await console.ask(0, 8, PXE_ONCE)
        wire.bmc._commands._chassis.armed = False
        return await console.ask(0, 9, READ_FLAGS)

    assert run(scene)[0] == (0, b"\x01\x05\x20\x04\0\0\0")


def test_order_that_persists_arms_every_boot():
    said, _, chassis = run(asking((0, 8, PXE_ALWAYS), (0, 2, b"\x01"), (0, 2, b"\x02"), (0, 9, READ_FLAGS)))

    assert said[3] == (0, b"\x01" + PXE_ALWAYS)
    assert chassis.pressed == ["pxeboot", "poweron", "reboot"]
    assert chassis.booted == [True, True]


def test_order_for_once_holds_for_one_boot():
    _, _, chassis = run(asking((0, 8, PXE_ONCE), (0, 2, b"\x01"), (0, 2, b"\x02")))

    assert chassis.booted == [True, False]


def test_another_device_takes_the_order_back():
    said, bmc, chassis = run(asking((0, 8, PXE_ONCE), (0, 8, DISK_ONCE), (0, 9, READ_FLAGS)))

    assert said[2] == (0, b"\x01" + DISK_ONCE)
    assert not chassis.armed
    assert bmc.calls["pxeboot"] == 1


def test_order_for_another_device_is_over_with_the_boot_too():
    said, _, _ = run(asking((0, 8, DISK_ONCE), (0, 2, b"\x01"), (0, 9, READ_FLAGS)))

    assert said[2] == (0, b"\x01\x05\x00\x08\0\0\0")


@pytest.mark.parametrize("value", [b"\x00\x01", b"\x03\x08", b"\x04\x01\x01"])
def test_parameters_beside_the_flags_are_taken(value):
    said, _, chassis = run(asking((0, 8, value), (0, 9, bytes([value[0], 0, 0]))))

    assert said == [(0, b""), (0, b"\x01" + value)]
    assert chassis.pressed == []


@pytest.mark.parametrize(
    ("request_", "completion"),
    [
        ((0, 1, b"\x00"), 0xC7),
        ((0, 2, b""), 0xC7),
        ((0, 2, b"\x01\x00"), 0xC7),
        ((0, 8, b""), 0xC7),
        ((0, 8, PXE_ONCE[:-1]), 0xC7),
        ((0, 8, b"\x07\x00"), 0x80),
        ((0, 9, b"\x07\x00\x00"), 0x80),
        ((0, 4), 0xC1),
        ((10, 0), 0xC1),
        ((6, 0x38, b"\x83\x04"), 0xCC),
        ((6, 0x38, b"\x8e\x05"), 0xCC),
        ((6, 0x3B, b"\x05"), 0xCC),
        ((6, 0x3B, b"\x01"), 0xCC),
        ((6, 0x3C, bytes(4)), 0x87),
        ((6, 0x54, b"\x03\x00\x80"), 0xCC),
    ],
)
def test_command_that_is_wrong_is_refused_and_presses_nothing(request_, completion):
    said, _, chassis = run(asking(request_))

    assert said == [(completion, b"")]
    assert chassis.pressed == []


def test_user_may_read_the_power_and_no_more():
    said, _, chassis = run(asking((0, 1), (0, 2, b"\x01"), (0, 8, PXE_ONCE), level=2))

    assert [code for code, _ in said] == [0, 0xD4, 0xD4]
    assert chassis.pressed == []


def test_level_beyond_that_of_the_login_is_unavailable():
    async def scene(wire):
        console = Console(wire)
        await console.open(), await console.identify(role=0x12), await console.prove()
        return [await console.ask(6, 0x3B, bytes([level])) for level in (0, 2, 3)]

    assert run(scene)[0] == [(0, b"\x02"), (0, b"\x02"), (0x81, b"")]


def test_session_of_another_is_closed_by_an_administrator_alone():
    async def scene(wire):
        victim = await Console(wire, 1).login()
        named = struct.pack("<I", victim.bmc_id)
        user = await (await Console(wire, 2).login(2)).ask(6, 0x3C, named)
        return user, await (await Console(wire, 3).login()).ask(6, 0x3C, named), await victim.ask(0, 1)

    assert run(scene)[0] == ((0xD4, b""), (0, b""), None)


def test_bmc_says_what_it_is_and_how_it_is_spoken_to():
    said, _, _ = run(asking((6, 1), (6, 0x38, b"\x8e\x04"), (6, 0x54, b"\x0e\x00\x80"), (6, 0x54, b"\x0e\x00\x81")))

    assert said[0][1][4] == 2 and len(said[0][1]) == 11
    assert said[1][1][:4] == b"\x01\x80\x04\x02"
    assert said[2][1] == bytes.fromhex("01 c003014181 c011034481")
    assert said[3][1] == b"\x01"

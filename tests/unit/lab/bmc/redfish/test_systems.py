import asyncio

import pytest

from lab.bmc.chassis import Button
from lab.bmc.fleet import FleetMachine
from lab.bmc.redfish.traits import IfMatch, ResetType
from tests.unit.lab.bmc.redfish.asking import MACHINE, RESET, SYSTEM, play


@pytest.mark.parametrize(
    ("kind", "powered_on", "button"),
    [
        ("On", False, Button.POWER_ON),
        ("ForceOff", True, Button.POWER_OFF),
        ("ForceRestart", True, Button.REBOOT),
        ("PowerCycle", True, Button.REBOOT),
    ],
)
def test_reset_presses_its_button_once(kind, powered_on, button):
    async def scene(asking):
        asking.machine.powered_on = powered_on
        answer = await asking.reset(kind)
        assert (answer.status, answer.body) == (204, None)

    asking = play(scene)
    assert asking.machine.presses == asking.ledger.executed == asking.ledger.calls == {button: 1}


@pytest.mark.parametrize("kind", ["GracefulShutdown", "GracefulRestart"])
def test_graceful_reset_is_noted_and_does_nothing(kind):
    async def scene(asking):
        asking.machine.powered_on = True
        assert (await asking.reset(kind)).status == 204

    asking = play(scene)
    assert not asking.machine.presses
    assert (asking.ledger.graceful_resets, asking.ledger.calls["graceful"]) == (1, 1)


@pytest.mark.parametrize("kind", ["ForceRestart", "PowerCycle"])
def test_restart_of_a_machine_that_is_off_is_refused(kind):
    async def scene(asking):
        answer = await asking.reset(kind)
        assert (answer.status, answer.message) == (409, "ResourceInStandby")

    assert not play(scene).machine.presses


@pytest.mark.parametrize(("kind", "powered_on"), [("On", True), ("ForceOff", False)])
@pytest.mark.parametrize(("already", "pressed"), [(204, 1), (409, 0)])
def test_reset_of_a_machine_that_is_so_already_is_answered_as_the_make_does(kind, powered_on, already, pressed):
    async def scene(asking):
        asking.traits.already = already
        asking.machine.powered_on = powered_on
        assert (await asking.reset(kind)).status == already

    assert sum(play(scene).machine.presses.values()) == pressed


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"ResetType": "Nmi"}, "ActionParameterValueNotInList"),
        ({"ResetType": "PowerCycle"}, "ActionParameterValueNotInList"),
        ({"ResetType": ["On"]}, "ActionParameterValueNotInList"),
        ({}, "ActionParameterMissing"),
        (b"", "MalformedJSON"),
        (b"[" * 5000, "MalformedJSON"),
        ([1], "MalformedJSON"),
    ],
)
def test_reset_that_is_not_listed_is_refused(body, message):
    async def scene(asking):
        asking.machine.powered_on = True
        asking.traits.reset_types = (ResetType.ON, ResetType.FORCE_OFF)
        answer = await asking.ask("POST", RESET, body)
        assert (answer.status, answer.message) == (400, message)

    assert not play(scene).machine.presses


def test_reset_types_that_stand_apart_are_listed_in_the_action_info_alone():
    async def scene(asking):
        action = (await asking.get()).body["Actions"]["#ComputerSystem.Reset"]
        assert action["ResetType@Redfish.AllowableValues"] == list(ResetType)
        asking.traits.reset_types_apart = True
        apart = (await asking.get()).body["Actions"]["#ComputerSystem.Reset"]
        assert "ResetType@Redfish.AllowableValues" not in apart
        info = (await asking.get(apart["@Redfish.ActionInfo"])).body["Parameters"]
        assert [(parameter["Name"], parameter["AllowableValues"]) for parameter in info] == [
            ("ResetType", list(ResetType))
        ]

    play(scene)


async def shown(asking):
    boot = (await asking.get()).body["Boot"]
    return tuple(boot.get(f"BootSourceOverride{name}") for name in ("Enabled", "Target", "Mode"))


def test_pxe_once_reads_back_until_the_machine_boots():
    async def scene(asking):
        assert await shown(asking) == ("Disabled", "None", "UEFI")
        assert (await asking.boot(Enabled="Once", Target="Pxe", Mode="Legacy")).status == 204
        assert await shown(asking) == ("Once", "Pxe", "Legacy")
        await asking.reset("On")
        assert await shown(asking) == ("Disabled", "None", "Legacy")

    assert play(scene).ledger.executed == {Button.PXE_BOOT: 1, Button.POWER_ON: 1}


def test_boot_that_nobody_ordered_ends_the_override_as_well():
    async def scene(asking):
        await asking.boot(Enabled="Once", Target="Pxe")
        asking.machine.armed = False
        assert await shown(asking) == ("Disabled", "None", "UEFI")

    play(scene)


def test_change_of_the_mode_after_the_boot_arms_nothing():
    async def scene(asking):
        await asking.boot(Enabled="Once", Target="Pxe")
        asking.traits.if_match = IfMatch.IGNORED
        asking.machine.armed = False
        await asking.boot(Mode="Legacy")
        assert not asking.machine.armed

    assert play(scene).ledger.executed == {Button.PXE_BOOT: 1}


def test_held_override_is_not_shown_before_it_is_set():
    async def scene(asking):
        hold = asking.bmc.hold(Button.PXE_BOOT)
        client = asyncio.create_task(asking.boot(Enabled="Once", Target="Pxe"))
        while not hold.waiting:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        assert await shown(asking) == ("Disabled", "None", "UEFI")
        hold.release()
        await client
        assert await shown(asking) == ("Once", "Pxe", "UEFI")

    play(scene)


def test_override_that_is_taken_back_holds_no_more():
    async def scene(asking):
        await asking.boot(Enabled="Once", Target="Pxe")
        await asking.boot(Enabled="Disabled")
        assert not asking.machine.armed
        assert await shown(asking) == ("Disabled", "Pxe", "UEFI")
        await asking.boot(Enabled="Once")
        assert asking.machine.armed

    assert play(scene).ledger.executed[Button.PXE_BOOT] == 2


def test_make_without_modes_shows_none_and_takes_none():
    async def scene(asking):
        asking.traits.boot_modes = ()
        assert not [name for name in (await asking.get()).body["Boot"] if "Mode" in name]
        answer = await asking.boot(Enabled="Once", Target="Pxe", Mode="UEFI")
        assert (answer.status, answer.message) == (400, "PropertyUnknown")
        assert not asking.machine.armed
        assert (await asking.boot(Enabled="Once", Target="Pxe")).status == 204
        assert asking.machine.armed

    play(scene)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"Boot": {"BootSourceOverrideTarget": "Cd"}}, "PropertyValueNotInList"),
        ({"Boot": {"BootSourceOverrideEnabled": "Continuous"}}, "PropertyValueNotInList"),
        ({"Boot": {"BootSourceOverrideTarget": 1}}, "PropertyValueNotInList"),
        ({"Boot": {"BootOrder": []}}, "PropertyUnknown"),
        ({"Boot": {}}, "PropertyNotWritable"),
        ({"PowerState": "On"}, "PropertyNotWritable"),
        (b"{", "MalformedJSON"),
    ],
)
def test_change_that_a_system_does_not_take_is_refused(body, message):
    async def scene(asking):
        answer = await asking.ask("PATCH", SYSTEM, body)
        assert (answer.status, answer.message) == (400, message)

    assert not play(scene).machine.armed


@pytest.mark.parametrize(
    ("if_match", "etag", "status"),
    [
        (IfMatch.IGNORED, '"old"', 204),
        (IfMatch.CHECKED, None, 204),
        (IfMatch.CHECKED, '"old"', 412),
        (IfMatch.REQUIRED, '"old"', 412),
        (IfMatch.REQUIRED, None, 428),
        (IfMatch.REQUIRED, "*", 204),
        (IfMatch.REQUIRED, "right", 204),
    ],
)
def test_etag_is_weighed_as_the_make_does(if_match, etag, status):
    async def scene(asking):
        asking.traits.if_match = if_match
        sent = (await asking.get()).headers["ETag"] if etag == "right" else etag
        answer = await asking.boot({"if-match": sent} if sent else {}, Enabled="Once", Target="Pxe")
        assert answer.status == status

    assert play(scene).machine.armed is (status == 204)


def test_etag_changes_with_the_power_and_the_boot():
    async def scene(asking):
        etags = [(await asking.get()).headers["ETag"]]
        await asking.reset("On")
        etags.append((await asking.get()).headers["ETag"])
        await asking.boot(Enabled="Once", Target="Pxe")
        etags.append((await asking.get()).headers["ETag"])
        assert len(set(etags)) == 3

    play(scene)


def test_held_command_is_done_when_it_is_released_though_its_client_has_gone():
    async def scene(asking):
        hold = asking.bmc.hold(Button.POWER_ON)
        client = asyncio.create_task(asking.reset("On"))
        while not hold.waiting:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        assert not asking.machine.presses
        client.cancel()
        hold.release()
        while not asking.machine.powered_on:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)

    assert play(scene).ledger.executed == {Button.POWER_ON: 1}


def test_command_whose_answer_is_held_is_done_at_once():
    async def scene(asking):
        hold = asking.bmc.hold(Button.POWER_ON, done=True)
        client = asyncio.create_task(asking.reset("On"))
        while not hold.waiting:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        assert asking.machine.powered_on
        assert not client.done()
        hold.release()
        assert (await client).status == 204

    assert play(scene).ledger.executed == {Button.POWER_ON: 1}


def test_bmc_of_several_machines_lists_them_and_does_what_is_told_to_the_one_alone():
    other = FleetMachine("00000000-0000-4000-8000-000000000001")

    async def scene(asking):
        asking.bmc.add_system(other.machine_id, other, first=True)
        listed = (await asking.get("/redfish/v1/Systems")).body["Members"]
        uuids = [(await asking.get(member["@odata.id"])).body["UUID"] for member in listed]
        assert uuids == [other.machine_id, MACHINE]
        await asking.reset("On")

    asking = play(scene)
    assert asking.machine.powered_on
    assert not other.powered_on

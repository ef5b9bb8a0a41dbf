import asyncio
import json

import pytest

from lab.bmc.api import VirtualApiBmc
from lab.bmc.chassis import Button
from lab.bmc.dice import Dice, Fault, Odds
from lab.http import NoAnswer, Request


class Chassis:
    powered_on = False

    def __init__(self):
        self.pressed = []

    def commanded(self, button):
        self.pressed.append(button)


def ask(bmc, method, path):
    return asyncio.run(bmc.handle(Request(method, path)))


@pytest.mark.parametrize("powered_on", [True, False])
def test_status_tells_the_power_as_json(powered_on):
    chassis = Chassis()
    chassis.powered_on = powered_on

    answer = ask(VirtualApiBmc(chassis), "GET", "/status")

    assert (answer.status, json.loads(answer.body)) == (200, {"PoweredOn": powered_on})


@pytest.mark.parametrize("button", list(Button))
def test_post_presses_the_button_and_counts_it(button):
    chassis = Chassis()
    bmc = VirtualApiBmc(chassis)

    answer = ask(bmc, "POST", f"/{button.value}")

    assert (answer.status, answer.body) == (200, b"")
    assert chassis.pressed == [button]
    assert bmc.calls == {button.value: 1}


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/poweron", 405), ("POST", "/status", 405), ("POST", "/explode", 404)]
)
def test_anything_else_is_refused_and_presses_nothing(method, path, status):
    chassis = Chassis()

    assert ask(VirtualApiBmc(chassis), method, path).status == status
    assert chassis.pressed == []


def test_bmc_out_of_order_refuses_everything():
    chassis = Chassis()
    bmc = VirtualApiBmc(chassis)
    bmc.refuse_with = 500

    assert [ask(bmc, "GET", "/status").status, ask(bmc, "POST", "/poweron").status] == [500, 500]
    assert chassis.pressed == []


def faulty(fault, chassis):
    return VirtualApiBmc(chassis, Dice(Odds.parse(f"{fault}=1,slow-s=0.05")))


@pytest.mark.parametrize(
    ("fault", "status", "pressed"),
    [
        (Fault.EXPLICIT, 500, 0),
        (Fault.SILENT, 200, 0),
        (Fault.SLOW, 200, 1),
        (Fault.WRONG_STATE, 200, 1),
        (Fault.UNAUTHORIZED, 401, 0),
        (Fault.BUSY, 503, 0),
    ],
)
def test_fault_answers_a_command_and_presses_or_does_not(fault, status, pressed):
    chassis = Chassis()
    bmc = faulty(fault, chassis)

    assert ask(bmc, "POST", "/reboot").status == status
    assert len(chassis.pressed) == bmc.ledger.executed[Button.REBOOT] == pressed
    assert bmc.calls == {"reboot": 1}


def test_command_whose_answer_is_dropped_is_done():
    chassis = Chassis()
    bmc = faulty(Fault.DROP_AFTER, chassis)

    with pytest.raises(NoAnswer):
        ask(bmc, "POST", "/poweron")
    assert len(chassis.pressed) == 1
    assert bmc.ledger.users == 0


def test_connection_that_is_lost_is_so_before_its_command_or_after_it():
    chassis = Chassis()
    bmc = faulty(Fault.PACKET_LOSS, chassis)

    for _ in range(40):
        with pytest.raises(NoAnswer):
            ask(bmc, "POST", "/poweron")
    assert 10 < len(chassis.pressed) == bmc.calls["poweron"] < 30
    assert bmc.ledger.users == 0


def test_command_that_is_swallowed_is_answered_though_answers_are_dropped():
    bmc = VirtualApiBmc(Chassis(), Dice(Odds(silent=1, drop_after=1)))

    assert ask(bmc, "POST", "/reboot").status == 200


@pytest.mark.parametrize("powered_on", [True, False])
def test_wrong_state_is_the_opposite(powered_on):
    chassis = Chassis()
    chassis.powered_on = powered_on

    answer = ask(faulty(Fault.WRONG_STATE, chassis), "GET", "/status")

    assert json.loads(answer.body) == {"PoweredOn": not powered_on}


def test_slow_answer_comes_after_its_time_and_two_requests_at_once_are_two_users():
    async def run():
        bmc = faulty(Fault.SLOW, Chassis())
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(bmc.handle(Request("GET", "/status")) for _ in range(2)))
        assert asyncio.get_running_loop().time() - began >= 0.05
        assert (bmc.ledger.users, bmc.ledger.most_users) == (0, 2)

    asyncio.run(run())

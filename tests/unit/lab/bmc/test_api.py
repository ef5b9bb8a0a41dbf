import asyncio
import json

import pytest

from lab.bmc.api import VirtualApiBmc
from lab.bmc.chassis import Button
from lab.http import Request


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

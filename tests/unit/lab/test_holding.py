"""What is held back is done when it is let go, and by nobody else."""

import asyncio

import pytest

from app.omni.kinds import Kind
from lab.bmc.api import VirtualApiBmc
from lab.bmc.chassis import Button
from lab.http import Request
from lab.omni.holds import Holds
from protos.gen.cosi import state_pb2


class Chassis:
    powered_on = False

    def __init__(self):
        self.pressed = []

    def commanded(self, button):
        self.pressed.append(button)


class Handler:
    """A method of the state service, as gRPC keeps it."""

    request_deserializer = response_serializer = None

    def __init__(self):
        self.done = []

    async def unary_unary(self, request, context):
        self.done.append(request)
        return "answer"


class Details:
    method = "/cosi.resource.State/Update"


def update_of(machine_id):
    request = state_pb2.UpdateRequest()
    request.new_resource.metadata.type = Kind.WIPE_STATUS.type("bm")
    request.new_resource.metadata.id = machine_id
    return request


async def wrapped(holds, handler):
    async def continuation(details):
        return handler

    return (await holds.intercept_service(continuation, Details())).unary_unary


async def until_held(hold):
    while not hold.waiting:  # noqa: ASYNC110 - what is tested is the hold
        await asyncio.sleep(0)


@pytest.mark.parametrize(("done", "done_while_held"), [(False, 0), (True, 1)])
def test_held_call_waits_before_or_after_it_is_done_until_released(done, done_while_held):
    async def run():
        holds, handler = Holds("bm"), Handler()
        hold = holds.add("Update", Kind.WIPE_STATUS, "m", done=done)
        call = await wrapped(holds, handler)
        waits = asyncio.ensure_future(call(update_of("m"), None))
        assert await call(update_of("another"), None) == "answer"
        await until_held(hold)
        assert [r.new_resource.metadata.id for r in handler.done].count("m") == done_while_held
        hold.release()
        assert await waits == "answer"
        assert (hold.waiting, hold.came) == (0, 1)
        assert await call(update_of("m"), None) == "answer"

    asyncio.run(run())


def test_held_bmc_command_is_carried_out_although_its_sender_is_gone():
    async def run():
        chassis = Chassis()
        bmc = VirtualApiBmc(chassis)
        hold = bmc.hold(Button.POWER_ON)
        sender = asyncio.ensure_future(bmc.handle(Request("POST", "/poweron")))
        await until_held(hold)
        sender.cancel()
        await asyncio.wait({sender})
        assert chassis.pressed == []
        hold.release()
        await asyncio.sleep(0.01)
        assert chassis.pressed == [Button.POWER_ON]

    asyncio.run(run())


def test_bmc_command_whose_answer_is_held_is_carried_out_at_once():
    async def run():
        chassis = Chassis()
        bmc = VirtualApiBmc(chassis)
        hold = bmc.hold(Button.POWER_ON, done=True)
        sender = asyncio.ensure_future(bmc.handle(Request("POST", "/poweron")))
        await until_held(hold)
        assert chassis.pressed == [Button.POWER_ON]
        assert not sender.done()
        hold.release()
        assert (await sender).status == 200
        assert chassis.pressed == [Button.POWER_ON]

    asyncio.run(run())


def test_commands_that_are_not_held_pass():
    async def run():
        chassis = Chassis()
        bmc = VirtualApiBmc(chassis)
        bmc.hold(Button.POWER_ON)
        await bmc.handle(Request("POST", "/reboot"))
        assert chassis.pressed == [Button.REBOOT]

    asyncio.run(run())

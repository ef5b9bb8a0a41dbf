"""The virtual BMC of a machine: power over plain HTTP, the `api` kind.

GET /status tells the power state; POST /poweron, /poweroff, /reboot and /pxeboot press a button. As with a real BMC,
/reboot does nothing to a machine that is off, and a PXE order holds for one boot. What it was told it does, also when
whoever told it has gone meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from lab.bmc.chassis import Button, Chassis
from lab.bmc.dice import Dice, Fault
from lab.bmc.ledger import Ledger
from lab.holding import Hold
from lab.http import HttpServer, NoAnswer, Request, Response


class VirtualApiBmc:
    """One BMC with its own port.

    status_delay_s: how long it takes to answer GET /status.
    command_delay_s: how long it takes to do what a POST says.
    refuse_with: an HTTP status that every request is answered with instead, for a BMC that is out of order.
    """

    def __init__(
        self,
        chassis: Chassis,
        dice: Dice | None = None,
        ledger: Ledger | None = None,
        *,
        status_delay_s: float = 0.0,
        command_delay_s: float = 0.0,
    ) -> None:
        self.dice = dice or Dice()
        self.ledger = ledger or Ledger()
        self.status_delay_s = status_delay_s
        self.command_delay_s = command_delay_s
        self.refuse_with: int | None = None
        self._holds: dict[tuple[Button, bool], Hold] = {}
        self._pressing: set[asyncio.Task[None]] = set()
        self.host = ""
        self.port = 0
        self._chassis = chassis
        self._server = HttpServer(self.handle)

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"

    @property
    def calls(self) -> Counter[str]:
        """How often it was asked for `status` and for each button."""
        return self.ledger.calls

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port."""
        self.host, self.port = host, await self._server.serve(host, port)
        return self.port

    async def stop(self) -> None:
        """Stop listening, and forget what was told and not done yet."""
        await self._server.stop()
        for pressing in self._pressing:
            pressing.cancel()

    def hold(self, button: Button, *, done: bool = False) -> Hold:
        """Hold such commands back: they have come in, and are not carried out yet. done: they are, but not answered."""
        held = self._holds[button, done] = Hold()
        return held

    def set_login(self, username: str, password: str) -> None:
        """Nothing: this kind knows no login."""

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises NoAnswer where the dice leave it without an answer."""
        # Each request has a connection of its own, so whoever else is served now is somebody else.
        with self.ledger.serving(object()):
            if self.refuse_with is not None:
                self.ledger.called("refused")
                return Response.text("out of order\n", self.refuse_with)
            lost = self.dice.falls(Fault.PACKET_LOSS)
            if lost and self.dice.coin():
                raise NoAnswer
            answer = await self._answer(request)
            if self.dice.falls(Fault.SLOW):
                await asyncio.sleep(self.dice.odds.slow_s)
            if lost:
                raise NoAnswer
            return answer

    async def _answer(self, request: Request) -> Response:
        name = request.path.removeprefix("/")
        if name != "status" and name not in set(Button):
            return Response.text("not found\n", 404)
        method = "GET" if name == "status" else "POST"
        if request.method != method:
            return Response.text(f"only {method}\n", 405)
        self.ledger.called(name)
        if self.dice.falls(Fault.UNAUTHORIZED):
            return Response.text("who are you?\n", 401)
        if self.dice.falls(Fault.BUSY):
            return Response.text("busy, come again\n", 503)
        return await self._status() if name == "status" else await self._command(Button(name))

    async def _command(self, button: Button) -> Response:
        if self.dice.falls(Fault.EXPLICIT):
            return Response.text("the power circuit does not answer\n", 500)
        if self.dice.falls(Fault.SILENT):
            return Response()
        pressing = asyncio.get_running_loop().create_task(self._press(button))
        self._pressing.add(pressing)
        pressing.add_done_callback(self._pressing.discard)
        await asyncio.shield(pressing)
        if hold := self._holds.get((button, True)):
            await hold.passed()
        if self.dice.falls(Fault.DROP_AFTER):
            raise NoAnswer
        return Response()

    async def _press(self, button: Button) -> None:
        if self.command_delay_s:
            await asyncio.sleep(self.command_delay_s)
        if hold := self._holds.get((button, False)):
            await hold.passed()
        self.ledger.pressed(button)
        self._chassis.commanded(button)

    async def _status(self) -> Response:
        if self.status_delay_s:
            await asyncio.sleep(self.status_delay_s)
        powered_on = self._chassis.powered_on is not self.dice.falls(Fault.WRONG_STATE)
        body = json.dumps({"PoweredOn": powered_on}).encode()
        return Response(body=body, content_type="application/json")

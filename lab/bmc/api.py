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
from lab.holding import Hold
from lab.http import HttpServer, Request, Response


class VirtualApiBmc:
    """One BMC with its own port.

    calls: how often it was asked for `status` and for each button.
    status_delay_s: how long it takes to answer GET /status.
    command_delay_s: how long it takes to do what a POST says.
    refuse_with: an HTTP status that every request is answered with instead, for a BMC that is out of order.
    """

    def __init__(self, chassis: Chassis, *, status_delay_s: float = 0.0, command_delay_s: float = 0.0) -> None:
        self.calls: Counter[str] = Counter()
        self.status_delay_s = status_delay_s
        self.command_delay_s = command_delay_s
        self.refuse_with: int | None = None
        self._holds: dict[Button, Hold] = {}
        self._pressing: set[asyncio.Task[None]] = set()
        self.host = ""
        self.port = 0
        self._chassis = chassis
        self._server = HttpServer(self.handle)

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port."""
        self.host, self.port = host, await self._server.serve(host, port)
        return self.port

    async def stop(self) -> None:
        """Stop listening, and forget what was told and not done yet."""
        await self._server.stop()
        for pressing in self._pressing:
            pressing.cancel()

    def hold(self, button: Button) -> Hold:
        """Hold such commands back: they have come in, and are not carried out yet."""
        held = self._holds[button] = Hold()
        return held

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        name = request.path.removeprefix("/")
        if self.refuse_with is not None:
            self.calls["refused"] += 1
            return Response.text("out of order\n", self.refuse_with)
        if name == "status":
            return await self._status(request)
        if name not in set(Button):
            return Response.text("not found\n", 404)
        if request.method != "POST":
            return Response.text("only POST\n", 405)
        self.calls[name] += 1
        pressing = asyncio.get_running_loop().create_task(self._press(Button(name)))
        self._pressing.add(pressing)
        pressing.add_done_callback(self._pressing.discard)
        await asyncio.shield(pressing)
        return Response()

    async def _press(self, button: Button) -> None:
        if self.command_delay_s:
            await asyncio.sleep(self.command_delay_s)
        if hold := self._holds.get(button):
            await hold.passed()
        self._chassis.commanded(button)

    async def _status(self, request: Request) -> Response:
        if request.method != "GET":
            return Response.text("only GET\n", 405)
        self.calls["status"] += 1
        if self.status_delay_s:
            await asyncio.sleep(self.status_delay_s)
        body = json.dumps({"PoweredOn": self._chassis.powered_on}).encode()
        return Response(body=body, content_type="application/json")

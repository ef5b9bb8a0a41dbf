"""One System of a virtual Redfish service: what it shows, and what it does when it is told to."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Final

from lab.bmc.chassis import Button, Chassis
from lab.bmc.dice import Fault
from lab.bmc.redfish import documents
from lab.bmc.redfish.answers import Refused, document, done, read_body
from lab.bmc.redfish.boot import BootOverride
from lab.bmc.redfish.service import Service
from lab.bmc.redfish.traits import GRACEFUL, IfMatch, ResetType
from lab.holding import Hold
from lab.http import NoAnswer, Request, Response

BUTTONS: Final[Mapping[ResetType, Button]] = {
    ResetType.ON: Button.POWER_ON,
    ResetType.FORCE_OFF: Button.POWER_OFF,
    ResetType.FORCE_RESTART: Button.REBOOT,
    ResetType.POWER_CYCLE: Button.REBOOT,
}


class System:
    """A machine behind the service. What it was told it does, also when whoever told it has gone meanwhile."""

    def __init__(self, path: str, machine_id: str, chassis: Chassis, service: Service) -> None:
        self.path = path
        self.machine_id = machine_id
        self.holds: dict[tuple[Button, bool], Hold] = {}
        self.boot = BootOverride(service.traits)
        self._chassis = chassis
        self._traits, self._dice, self._ledger = service.traits, service.dice, service.ledger
        self._doing: set[asyncio.Task[None]] = set()

    @property
    def powered_on(self) -> bool:
        """Whether the machine has power."""
        return self._chassis.powered_on

    def show(self) -> Response:
        """GET."""
        self._ledger.called("status")
        shown = self.powered_on is not self._dice.falls(Fault.WRONG_STATE)
        boot = self.boot.shown(armed=self._chassis.armed)
        body = documents.system(self.path, self.machine_id, self._traits, boot, powered_on=shown)
        return document(body, headers={"ETag": self._etag()})

    async def change(self, request: Request) -> Response:
        """PATCH: the boot override. Raises Refused and NoAnswer."""
        self._ledger.called(Button.PXE_BOOT)
        self._match(request.headers.get("if-match"))
        changes = self.boot.changed(read_body(request.body))
        await self._carry_out(Button.PXE_BOOT, lambda: self._set_boot(changes))
        return done()

    async def reset(self, request: Request) -> Response:
        """POST of the action. Raises Refused and NoAnswer."""
        kind = self._reset_type(read_body(request.body))
        if kind in GRACEFUL:  # an operating system that does not listen: such an order is none of a provider's
            self._ledger.called("graceful")
            self._ledger.asked_gracefully()
            return done()
        button = BUTTONS[kind]
        self._ledger.called(button)
        if kind not in self._traits.reset_types:
            raise Refused(400, "ActionParameterValueNotInList", f"The value {kind} is not in the list of ResetType.")
        self._fitting(button)
        await self._carry_out(button, lambda: self._press(button))
        return done()

    def stop(self) -> None:
        """Forget what was told and not done yet."""
        for task in self._doing:
            task.cancel()

    async def _carry_out(self, button: Button, deed: Callable[[], Coroutine[None, None, None]]) -> None:
        if self._dice.falls(Fault.EXPLICIT):
            raise Refused(500, "InternalError", "The request failed due to an internal service error.")
        if self._dice.falls(Fault.SILENT):
            return
        task = asyncio.get_running_loop().create_task(deed())
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)
        await asyncio.shield(task)
        if hold := self.holds.get((button, True)):
            await hold.passed()
        if self._dice.falls(Fault.DROP_AFTER):
            raise NoAnswer

    async def _set_boot(self, changes: Mapping[str, str]) -> None:
        if self.boot.arms(changes, armed=self._chassis.armed):
            await self._press(Button.PXE_BOOT)
        else:
            self._chassis.armed = False
        self.boot.set(changes)

    async def _press(self, button: Button) -> None:
        if hold := self.holds.get((button, False)):
            await hold.passed()
        self._ledger.pressed(button)
        self._chassis.commanded(button)

    def _fitting(self, button: Button) -> None:
        """A machine that is so already is left as it is by some makes, and complained about by others."""
        off = not self.powered_on
        if button is Button.REBOOT and off:
            raise Refused(409, "ResourceInStandby", "The request could not be performed: the resource is in standby.")
        already = {Button.POWER_ON: not off, Button.POWER_OFF: off}.get(button, False)
        if already and self._traits.already != 204:
            raise Refused(self._traits.already, "NoOperation", "The request changes nothing: it is so already.")

    def _reset_type(self, body: Mapping[str, object]) -> ResetType:
        asked = body.get("ResetType")
        if asked is None:
            raise Refused(400, "ActionParameterMissing", "The action Reset requires the parameter ResetType.")
        try:
            return ResetType(str(asked))
        except ValueError:
            words = f"The value {asked!r:.50} is not in the list of ResetType."
            raise Refused(400, "ActionParameterValueNotInList", words) from None

    def _match(self, etag: str | None) -> None:
        if etag is None and self._traits.if_match is IfMatch.REQUIRED:
            raise Refused(428, "PreconditionRequired", "The request must have the header If-Match.")
        if self._traits.if_match is not IfMatch.IGNORED and etag not in (None, "*", self._etag()):
            raise Refused(412, "PreconditionFailed", "The ETag in the header If-Match is not that of the resource.")

    def _etag(self) -> str:
        shown = repr((self.powered_on, self.boot.shown(armed=self._chassis.armed)))
        return f'"{zlib.crc32(shown.encode()):08x}"'

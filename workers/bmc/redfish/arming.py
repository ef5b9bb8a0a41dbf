"""Has a System boot from the network once, wherever and however its BMC wants to be told."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Final

import requests

from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcError, BmcNotPermitted
from workers.bmc.quirks import Effect, has
from workers.bmc.redfish.answers import Refusal, as_dict, class_of
from workers.bmc.redfish.boot import (
    Place,
    difference,
    names_mode,
    order,
    settings_place,
    system_place,
    takes_orders,
    without_mode,
)
from workers.bmc.redfish.service import Service
from workers.bmc.redfish.system import System
from workers.bmc.redfish.tasks import await_task

# Some show a change a second after they took it.
READ_BACK_PAUSE_S = 1.0
_READS_BACK: Final = 2
# Another ETag, place or wording would be answered likewise.
_FINAL: Final = (BmcBusy, BmcAuthenticationFailed, BmcNotPermitted)
_ETAG_REFUSED: Final = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED)
# Where AMI's firmware keeps what is for the next boot, though its System names no such place.
_FUTURE_STATE: Final = "/SD"


def arm_pxe_once(service: Service, system: System, mode: str | None) -> str:
    """Order it, and read it back; the answer is "", or what the BMC shows instead. Raises BmcError.

    Args:
        service: of the BMC.
        system: as it was read just now.
        mode: of the firmware, `uefi` or `bios`; None leaves it as it is.
    """
    place = _place(service, system)
    body = order(place, system.boot, mode)
    answer = _patch(service, place, body)
    if isinstance(answer, Refusal) and has(Effect.FUTURE_STATE, service.known, answer.text):
        place = settings_place(service.read(system.path.rstrip("/") + _FUTURE_STATE))
        body = order(place, system.boot, mode)
        answer = _patch(service, place, body)
    if isinstance(answer, Refusal) and names_mode(body):
        answer = _patch(service, place, without_mode(body))
    if isinstance(answer, Refusal):
        raise service.error(answer, "PATCH", place.path)
    await_task(service, answer)
    return _read_back(service, dict.fromkeys((place.path, system.path)), mode)


def _place(service: Service, system: System) -> Place:
    """The settings object where it has boot settings, else the System itself."""
    if system.settings_path and (document := service.find(system.settings_path)) is not None:
        place = settings_place(document)
        if takes_orders(place):
            return place
    return system_place(system)


def _patch(service: Service, place: Place, body: dict[str, Any]) -> requests.Response | Refusal:
    """Send it with one ETag after the other while they are refused. Raises BmcError where no other will be taken."""
    for etag in place.etags:
        answer = service.try_patch(place.path, body, etag)
        if not isinstance(answer, Refusal):
            return answer
        kind = class_of(answer, service.known)
        if kind in _FINAL or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise service.error(answer, "PATCH", place.path)
        if answer.status not in _ETAG_REFUSED:
            return answer
    return answer


def _read_back(service: Service, paths: dict[str, None], mode: str | None) -> str:
    """What none of these resources shows as ordered, in words; "" where one does."""
    words = ""
    for look in range(_READS_BACK):
        if look:
            time.sleep(READ_BACK_PAUSE_S)
        for path in paths:
            try:
                shown = as_dict(service.read(path).content.get("Boot"))
            except BmcAuthenticationFailed:
                raise
            except BmcError as error:
                return f"it cannot be read back: {error}"
            other = difference(shown, mode)
            if not other:
                return ""
            words = words or other
    return words

"""Machines as they are asked for by their ids, for the API and the pages alike."""

from __future__ import annotations

from typing import Final

from werkzeug.exceptions import NotFound, ServiceUnavailable

from app.omni.kinds import PICTURE_KINDS
from app.omni.resources import attribute
from app.state.view import MachineView
from app.web.machine_ids import is_machine_id
from app.web.services import Services

_RESOURCES: Final = tuple(attribute(kind) for kind in PICTURE_KINDS)


def known(services: Services, text: str) -> MachineView:
    """The machine as seen now. Raises NotFound where there is nothing of it, once that can be said."""
    machine_id = text.lower()
    if is_machine_id(machine_id):
        view = services.views.one(machine_id)
        if any(getattr(view.machine, name) is not None for name in _RESOURCES):
            return view
        require_complete(services)
    raise NotFound("there is no such machine")


def require_complete(services: Services) -> None:
    """Read after the machines, so that a Redis emptied meanwhile does not make them look unknown."""
    if not services.mirror.complete():
        raise ServiceUnavailable("the mirror of Omni is not complete yet: try again in a few seconds", retry_after=5)

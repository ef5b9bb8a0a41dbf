"""Whether there is Redfish at a BMC's address."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import Final

from app.machine.model import Ipmi
from config.settings import Settings
from workers.bmc.errors import BmcError, BmcNotTrusted
from workers.bmc.redfish.answers import Refusal
from workers.bmc.redfish.finding import ROOT_PATH
from workers.bmc.redfish.service import Service
from workers.bmc.redfish.session import line_to

# The root is what a BMC can tell at once, before anybody logs in. Who has no Redfish often drops the packets.
PROBE_S = 3.0
_BUSY_OR_CLOSED: Final = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
}


def speaks_redfish(ipmi: Ipmi, settings: Settings) -> bool:
    """Whether the service root is there; asked without a login, for PROBE_S at most.

    A service that has no time, wants a login, or whose certificate is not trusted, is one all the same: else it would
    be spoken to by IPMI behind the back of who set the options. What has neither message ids, nor a header of OData or
    JSON, is none: older BMCs ask for a login at every path, and would take the one for IPMI as a wrong one.
    """
    with contextlib.suppress(BmcError):
        origin, line = line_to(ipmi, settings, PROBE_S)
        with contextlib.closing(line):
            return _has_root(Service(line, origin, "", "", login_worked=False))
    return False


def _has_root(service: Service) -> bool:
    try:
        root = service.try_read(ROOT_PATH, with_login=False)
    except BmcNotTrusted:
        return True
    if isinstance(root, Refusal):
        return bool(root.ids) or (root.of_a_service and root.status in _BUSY_OR_CLOSED)
    return "RedfishVersion" in root.content or "Systems" in root.content

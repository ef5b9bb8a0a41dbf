"""How long a BMC is let rest after refused logins: many lock out after three within a minute, and the right one too."""

from __future__ import annotations

from app.machine.model import BmcConfiguration, OperationName
from app.machine.sentences import duration
from app.state.logins import RefusedLogins
from app.state.mirror_reader import MirrorUnreadable
from workers.bmc.errors import MOST_REFUSALS
from workers.bmc.place import place_of
from workers.services import Services

# They log in with the login that is in use.
_LOG_IN = (
    OperationName.POWER_ON,
    OperationName.POWER_OFF,
    OperationName.REBOOT,
    OperationName.TEARDOWN,
    OperationName.PXE_ARM,
    OperationName.BMC_TEST,
    OperationName.BMC_PROBE,
)


def rest_s(logins: RefusedLogins, login: BmcConfiguration, tries: int) -> float:
    """How long to wait before a login may be refused so many times more at its BMC; 0 = not at all."""
    if login.api_address:  # there is no login that could be locked out
        return 0.0
    refusals, left_s = logins.refusals(place_of(login))
    return left_s if refusals + tries > MOST_REFUSALS else 0.0


def why_not_yet(logins: RefusedLogins, machine_id: str, login: BmcConfiguration | None) -> str:
    """Why a refused login is not tried again yet, though a person says so; "" where it may be, or is not refused."""
    if login is None or not logins.login_refused(machine_id, login):
        return ""
    wait_s = rest_s(logins, login, 1)
    times = f"its BMC has just refused {MOST_REFUSALS} logins, and may lock out"
    return f"{times}: ask again in {duration(wait_s)}" if wait_s else ""


def why_not_by_hand(services: Services, name: OperationName, machine_id: str) -> str:
    """Why this operation does not begin yet, though a person says so; "" where it does."""
    if name not in _LOG_IN:
        return ""
    try:
        login = services.mirror.load(machine_id).bmc_configuration
    except MirrorUnreadable as error:
        return str(error)
    return why_not_yet(services.logins, machine_id, login)

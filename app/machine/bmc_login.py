"""Is the BMC login to be set up, and from whom: a user's login wins and needs no agent."""

from __future__ import annotations

import hashlib
import json

from app.machine.facts import Standing
from app.machine.model import BmcConfig, BmcConfiguration, Ipmi, Operation, OperationName
from app.machine.sentences import Weighed, because, due

IPMI_PORT = 623
LAST_PORT = 65_535
# Ten minutes are the longest lock-out that is known as a default (iDRAC).
LOCKED_OUT = (
    "If it refused other logins shortly before, it may have locked us out: `omni-metal retry` after 11 minutes"
)
_USER_REFUSED = (
    "The BMC refuses the login that a user gave: correct it in Omni, or on the BMC and then `omni-metal retry`. "
    f"{LOCKED_OUT}."
)
_API_REFUSES = (
    "The BMC refuses our requests, though BMCs of the api kind have no login: see what answers at its address, then "
    "`omni-metal retry`."
)


def refused_remedy(login: BmcConfiguration) -> str:
    """What a person can do where the BMC refuses the login, which goes by who gave it."""
    if login.api_address:
        return "BMCs of the api kind have no login: see what answers at its address, then `omni-metal retry`"
    if login.manually_configured:
        either = "Correct it in Omni (BMCConfig), which is enough; or on the BMC, and then `omni-metal retry`"
        return f"{either}. {LOCKED_OUT}"
    return "Its agent sets another one when it is accessible; or give one as a BMCConfig in Omni, which counts instead"


def user_login(config: BmcConfig | None) -> BmcConfiguration | None:
    """The login that a user's BMCConfig stands for; None where it gives none."""
    if config is None or (config.ipmi is None and config.api_address is None):
        return None
    ipmi = config.ipmi
    if ipmi is not None and ipmi.port == 0:
        ipmi = Ipmi(ipmi.address, IPMI_PORT, ipmi.username, ipmi.password)
    return BmcConfiguration(ipmi=ipmi, api_address=config.api_address, manually_configured=True)


def weigh(standing: Standing) -> Weighed:
    """configure_bmc."""
    machine = standing.machine
    wanted = user_login(machine.bmc_config)
    if wanted is not None:
        return _from_user(wanted, machine.bmc_configuration, refused=machine.facts.login_refused)
    return _from_agent(standing, machine.bmc_configuration)


def _from_user(wanted: BmcConfiguration, current: BmcConfiguration | None, *, refused: bool) -> Weighed:
    if current is not None and _content(current) == _content(wanted):
        if refused:
            return because(_USER_REFUSED)
        return because("The BMC login is the one that a user gave.")
    reason = (
        "A user gave a BMC login that is not in use yet."
        if current is None
        else "The BMC login that a user gave differs from the one in use."
    )
    return due(Operation(OperationName.CONFIGURE_BMC, reason, cause=("user", _digest(wanted)), source="user"))


def _from_agent(standing: Standing, current: BmcConfiguration | None) -> Weighed:
    refused = standing.machine.facts.login_refused
    complete = current is not None and (current.ipmi is not None or current.api_address is not None)
    if current is not None and complete and not current.manually_configured:
        if not refused:
            return because("The BMC login was set up through the agent.")
        if current.api_address is not None:
            return because(_API_REFUSES)
    lacking = f"{_why_from_agent(current if complete else None)}, so the agent is to give"
    lacking += " a new one" if complete else " one"
    if standing.agent_accessible is None:
        return because(f"{lacking}; it is not known yet whether the agent is accessible.")
    if not standing.agent_accessible:
        kept = f"; {_refused_again(refused=refused)}" if complete else ""
        return because(f"{lacking}, but it is not accessible{kept}.")
    # One cause for a first login and for those that take the place of a refused one: where the new one is refused as
    # well, the operation stays parked, however often the agent goes and comes.
    return due(Operation(OperationName.CONFIGURE_BMC, f"{lacking}.", cause=("agent",), source="agent"))


def _refused_again(*, refused: bool) -> str:
    if refused:  # it may be that the BMC had locked us out, and that this is over
        return "`omni-metal retry` has the refused one tried once more"
    return "the old login stays until then"


def _why_from_agent(current: BmcConfiguration | None) -> str:
    if current is None:
        return "There is no BMC login yet"
    if current.manually_configured:
        return "The user's BMC login was taken away"
    return "The BMC refuses the login that was set up through the agent"


def _content(login: BmcConfiguration) -> tuple[Ipmi | None, str | None, bool]:
    return login.ipmi, login.api_address, login.manually_configured


def _digest(login: BmcConfiguration) -> str:
    """Tells one login from another without showing it."""
    ipmi = login.ipmi
    values = [ipmi and [ipmi.address, ipmi.port, ipmi.username, ipmi.password], login.api_address]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()

"""Set up the BMC login of a machine: the user's, or one of our own through the agent."""

from __future__ import annotations

import secrets
import string
from typing import Any

from app.agents.client import PowerManagement
from app.agents.errors import AgentFailed, AgentGone, AgentTimeout, GatewayUnreachable, StaleFence, WipeRefused
from app.agents.words import clean
from app.machine.bmc_login import IPMI_PORT, LAST_PORT, user_login
from app.machine.model import BmcConfig, BmcConfiguration, Ipmi, OperationName
from app.omni.kinds import Kind
from app.state.renewals import Renewed
from config.celery import QUEUE_BMC
from workers.bmc_address import address_of
from workers.bmc_allowed import check_named
from workers.celery_app import app
from workers.errors import AgentRefused, AgentUnavailable, NewLoginRefused, UserLoginUnusable
from workers.keeper import LeaseLost
from workers.login_trial import let_rest, try_login
from workers.operation import perform
from workers.power import patiently
from workers.turn import NotDue, Procedure, Turn

AGENT_USER = "talos-agent"
# Sixteen characters are what the oldest IPMI BMCs still take.
PASSWORD_LENGTH = 16
BMC_OPERATIONS = (OperationName.POWER_ON, OperationName.POWER_OFF, OperationName.REBOOT, OperationName.TEARDOWN)


def configure_bmc(turn: Turn) -> str:
    """Store the login to use, and try it."""
    given = turn.machine.bmc_config
    from_user = turn.operation.source == "user"
    renewed = not from_user and turn.machine.facts.login_refused
    words = _from_user(turn, given) if from_user and given else _from_agent(turn, renewed=renewed)
    # What failed with the login before deserves another try with this one.
    turn.services.attempts.clear(turn.machine.id, *BMC_OPERATIONS)
    return words + try_login(turn, renewed=renewed)


def _from_user(turn: Turn, config: BmcConfig) -> str:
    wanted = user_login(config)
    if wanted is None:
        raise NotDue("the BMCConfig in Omni holds no login any more")
    if wanted.ipmi is not None and wanted.ipmi.port > LAST_PORT:
        given = f"gives {clean(wanted.ipmi.address)} the port {wanted.ipmi.port}, and there are 1 to {LAST_PORT} alone"
        raise UserLoginUnusable(f"the BMCConfig of the machine in Omni {given}")
    let_rest(turn, wanted)

    def edit(spec: Any) -> None:
        spec.Clear()
        spec.manually_configured = True
        if wanted.ipmi:
            spec.ipmi.address, spec.ipmi.port = wanted.ipmi.address, wanted.ipmi.port
            spec.ipmi.username, spec.ipmi.password = wanted.ipmi.username, wanted.ipmi.password
        if wanted.api_address is not None:
            spec.api.address = wanted.api_address

    patiently(lambda: turn.store(Kind.BMC_CONFIGURATION, edit))
    return "took over the BMC login that was given in Omni"


def _from_agent(turn: Turn, *, renewed: bool) -> str:
    """renewed: the login that the agent set before is refused."""
    lately = turn.services.renewals.lately(turn.machine.id) if renewed else None
    if lately is Renewed.WORKED:
        raise NewLoginRefused("the BMC refuses once more a login that its agent has set, within an hour")
    if lately is Renewed.UNPROVED and (login := turn.machine.bmc_configuration) is not None:
        let_rest(turn, login)
        return "tried the BMC login that its agent has set once more"
    try:
        words = _ask_agent(turn)
    except StaleFence:
        raise LeaseLost("a later operation has taken the machine") from None
    except (AgentGone, GatewayUnreachable) as error:
        raise AgentUnavailable(f"the agent went away: {error}") from None
    except AgentTimeout as error:
        raise AgentUnavailable(f"the agent does not answer: {error}") from None
    except (AgentFailed, WipeRefused) as error:
        raise AgentRefused(f"the agent failed to set up the BMC: {error}") from None
    if renewed:  # not before it stands in Omni: what nobody knows is to be set again
        turn.services.renewals.note(turn.machine.id)
    return words


def _ask_agent(turn: Turn) -> str:
    gateway, machine_id, fence = turn.services.gateway, turn.machine.id, turn.guard.lease.fence
    power = gateway.get_power_management(machine_id)
    if not power.ipmi and not power.api:
        raise AgentRefused("the agent offers neither IPMI nor the API: the machine has no BMC that it can use")
    password = address = ""
    if power.ipmi:
        password = _have_password_set(turn, power)
    if power.api:
        address = address_of(machine_id, turn.services.settings.api_power_mgmt_state_dir)
        turn.guard.check()
        gateway.set_power_management_api(machine_id, fence)

    def edit(spec: Any) -> None:
        spec.Clear()
        if power.ipmi:
            spec.ipmi.address, spec.ipmi.port = power.ipmi_address, power.ipmi_port or IPMI_PORT
            spec.ipmi.username, spec.ipmi.password = AGENT_USER, password
        if power.api:
            spec.api.address = address

    # Nobody else knows the password, and the one before is gone.
    patiently(lambda: turn.store(Kind.BMC_CONFIGURATION, edit))
    return "set up the BMC login through the agent" if power.ipmi else f"found the BMC at {address}"


def _have_password_set(turn: Turn, power: PowerManagement) -> str:
    """Have the agent set a random password at its BMC. Raises what says that none is set: nobody would ever use it."""
    machine_id = turn.machine.id
    check_named(machine_id, power.ipmi_address, power.ipmi_port, turn.services.settings)
    let_rest(turn, BmcConfiguration(ipmi=Ipmi(power.ipmi_address, power.ipmi_port or IPMI_PORT, AGENT_USER, "")))
    alphabet = string.ascii_letters + string.digits
    password = "".join(secrets.choice(alphabet) for _ in range(PASSWORD_LENGTH))
    turn.guard.check()
    turn.services.gateway.set_power_management_ipmi(machine_id, AGENT_USER, password, turn.guard.lease.fence)
    return password


# It is read first: a password that is set where Omni cannot take it helps nobody.
CONFIGURE_BMC = Procedure(OperationName.CONFIGURE_BMC, configure_bmc, confirms=(Kind.BMC_CONFIGURATION,))


@app.task(name="configure_bmc", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def configure_bmc_task(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Set up the machine's BMC login, if that is due."""
    return perform(self, CONFIGURE_BMC, machine_id, operation_id)

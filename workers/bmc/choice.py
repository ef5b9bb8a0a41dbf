"""Which protocol is spoken with a BMC."""

from __future__ import annotations

from app.machine.model import BmcConfiguration, Ipmi
from config.settings import Settings
from workers.bmc.api import ApiBmc
from workers.bmc.client import Bmc, StillOurs, used_alone
from workers.bmc.errors import BmcUnsupported
from workers.bmc.ipmi.session import open_ipmi
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish.probe import speaks_redfish
from workers.bmc.redfish.session import open_redfish


def open_session(
    machine_id: str,
    configuration: BmcConfiguration,
    settings: Settings,
    known: Known | None = None,
    *,
    login_worked: bool = False,
    matched: bool = False,
    still_ours: StillOurs = used_alone,
) -> Bmc:
    """A session with the BMC of this configuration; `api` is used where there is also `ipmi`. Raises BmcError.

    Args:
        machine_id: the machine's UUID, by which its System is found.
        configuration: address and login.
        settings: which protocols may be used, and how.
        known: what an earlier session found out; None asks the BMC anew.
        login_worked: this very login has worked with this BMC before.
        matched: a System of this BMC had the machine's UUID before, whatever else is known.
        still_ours: is called before each command that the session sends.
    """
    if configuration.api_address:
        return ApiBmc(configuration.api_address, still_ours)
    if configuration.ipmi is None:
        raise BmcUnsupported("the configuration of the BMC names neither api nor ipmi", executed=False)
    if _kind(configuration.ipmi, settings, known) is BmcKind.REDFISH:
        ours, ipmi = still_ours, configuration.ipmi
        return open_redfish(
            machine_id, ipmi, settings, known, login_worked=login_worked, matched=matched, still_ours=ours
        )
    rest_s = settings.ipmi_min_interval_s
    return open_ipmi(configuration.ipmi, known, login_worked=login_worked, still_ours=still_ours, rest_s=rest_s)


def _kind(ipmi: Ipmi, settings: Settings, known: Known | None) -> BmcKind:
    """The options come first; else what is known counts; else the BMC is asked whether it has Redfish."""
    if settings.redfish_use_always:
        return BmcKind.REDFISH
    if not settings.redfish_use_when_available:
        return BmcKind.IPMI
    if known is not None and known.kind is not BmcKind.API:
        return known.kind
    return BmcKind.REDFISH if speaks_redfish(ipmi, settings) else BmcKind.IPMI

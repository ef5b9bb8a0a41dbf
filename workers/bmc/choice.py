"""Which protocol is spoken with a BMC."""

from __future__ import annotations

from app.machine.model import BmcConfiguration
from config.settings import Settings
from workers.bmc.api import ApiBmc
from workers.bmc.client import Bmc
from workers.bmc.errors import BmcUnsupported
from workers.bmc.known import Known


def open_session(
    machine_id: str,
    configuration: BmcConfiguration,
    settings: Settings,
    known: Known | None = None,
    *,
    login_worked: bool = False,
) -> Bmc:
    """A session with the BMC of this configuration; `api` is used where there is also `ipmi`. Raises BmcError.

    Args:
        machine_id: the machine's UUID, by which its System is found.
        configuration: address and login.
        settings: which protocols may be used, and how.
        known: what an earlier session found out; None asks the BMC anew.
        login_worked: this very login has worked with this BMC before.
    """
    del machine_id, settings, known, login_worked
    if configuration.api_address:
        return ApiBmc(configuration.api_address)
    raise BmcUnsupported("IPMI and Redfish are not in this version; only BMCs of the api kind are", executed=False)

"""What a person is told to do about a refused login goes by who gave it."""

from __future__ import annotations

import pytest

from app.machine.model import BmcConfiguration, Ipmi
from tests.unit.workers.conftest import MACHINE, Bottle
from workers.bmc.errors import BmcAuthenticationFailed

IPMI = Ipmi("192.0.2.1", 623, "admin", "pw")


@pytest.mark.parametrize(
    ("login", "told"),
    [
        (BmcConfiguration(ipmi=IPMI, manually_configured=True), "Correct it in Omni (BMCConfig), which is enough; or"),
        (BmcConfiguration(ipmi=IPMI), "Its agent sets another one when it is accessible; or give one "),
        (BmcConfiguration(api_address="192.0.2.1:80"), "BMCs of the api kind have no login: see what answers at its "),
        (BmcConfiguration(api_address="192.0.2.1:80", manually_configured=True), "BMCs of the api kind have no login"),
    ],
)
def test_remedy_of_a_refused_login_goes_by_who_gave_it(bottle: Bottle, login: BmcConfiguration, told: str) -> None:
    bottle.accepted()
    bottle.bmc.fails["status"] = BmcAuthenticationFailed("it says no.", executed=False)
    bmc = bottle.services.bmcs.open(MACHINE, login)
    with pytest.raises(BmcAuthenticationFailed) as refused:
        bmc.power_state()
    assert refused.value.words().startswith(f"it says no. {told}")
    with pytest.raises(BmcAuthenticationFailed) as once_more:
        bmc.power_state()
    with pytest.raises(BmcAuthenticationFailed) as later:
        bottle.services.bmcs.open(MACHINE, login)
    given = login.manually_configured and login.ipmi is not None
    assert ("it may have locked us out: `omni-metal retry` after 11 minutes" in refused.value.words()) is given
    assert refused.value.hint == once_more.value.hint == later.value.hint
    ((_, notes),) = bottle.services.mirror.load_noted([MACHINE])
    assert notes.bmc_trouble is not None and notes.bmc_trouble.hint == refused.value.hint

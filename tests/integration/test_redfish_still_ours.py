"""Whether the BMC is still ours is asked right before each command over Redfish, and else nothing is sent."""

import pytest

from tests.integration.redfish_mock import RESET, SYSTEM, Answer, RedfishMock, error, first
from workers.bmc.errors import BmcInUse
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish import arming, service, session

pytestmark = pytest.mark.integration

KNOWN = Known(BmcKind.REDFISH, SYSTEM)
VERBS = ("power_on", "power_off", "reboot", "arm_pxe")


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    for module, name in ((service, "REFUSED_PAUSE_S"), (session, "OFF_PAUSE_S"), (arming, "READ_BACK_PAUSE_S")):
        monkeypatch.setattr(module, name, 0.01)


@pytest.fixture
def bmc():
    mock = RedfishMock()
    mock.power = "On"
    yield mock
    mock.close()


class Lease:
    """Ours for so many looks; notes what the BMC had been asked at each."""

    def __init__(self, bmc, looks):
        self._bmc, self._looks, self.seen = bmc, looks, []

    def still_ours(self):
        self.seen.append([str(asked) for asked in self._bmc.asked])
        if len(self.seen) > self._looks:
            raise BmcInUse("somebody else uses it by now", executed=False)


def commands(bmc):
    return [str(asked) for asked in bmc.asked if asked.method != "GET"]


def call(bmc, verb, looks):
    lease = Lease(bmc, looks)
    talk = bmc.session(KNOWN, still_ours=lease.still_ours)
    try:
        getattr(talk, verb)(*(("uefi",) if verb == "arm_pxe" else ()))
    except BmcInUse as refused:
        return lease, refused
    return lease, None


@pytest.mark.parametrize("verb", VERBS)
def test_lease_is_looked_at_after_the_questions_and_before_the_command(bmc, verb):
    lease, refused = call(bmc, verb, 9)
    assert refused is None
    assert lease.seen == [[f"GET {SYSTEM}"]]
    assert str(bmc.asked[1]) == (f"PATCH {SYSTEM}" if verb == "arm_pxe" else f"POST {RESET}")


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_commanded_where_the_bmc_is_somebody_elses_by_then(bmc, verb):
    _, refused = call(bmc, verb, 0)
    assert refused.executed is False
    assert commands(bmc) == []


@pytest.mark.parametrize("verb", VERBS)
def test_command_whose_login_was_refused_is_not_sent_again_where_the_bmc_is_somebody_elses_by_then(bmc, verb):
    bmc.hook(lambda asked: Answer(401) if asked.method != "GET" else None)
    lease, refused = call(bmc, verb, 1)
    assert refused.executed is False
    assert (len(lease.seen), len(commands(bmc))) == (2, 1)


def test_machine_that_went_off_is_not_powered_on_where_the_bmc_is_somebody_elses_by_then(bmc):
    bmc.documents[SYSTEM]["Actions"]["#ComputerSystem.Reset"]["ResetType@Redfish.AllowableValues"] = ["On", "ForceOff"]
    _, refused = call(bmc, "reboot", 1)
    assert refused.executed is None  # half of it was
    assert bmc.executed == ["ForceOff"]


def test_next_reset_type_is_not_tried_where_the_bmc_is_somebody_elses_by_then(bmc):
    bmc.documents[SYSTEM]["Actions"]["#ComputerSystem.Reset"] = {"target": RESET}
    bmc.hook(first(1, Answer(400, error(("Base.1.8.ActionParameterValueNotInList",))), "POST"))
    _, refused = call(bmc, "reboot", 1)
    assert refused.executed is False
    assert (len(commands(bmc)), bmc.executed) == (1, [])


def test_next_etag_is_not_tried_where_the_bmc_is_somebody_elses_by_then(bmc):
    bmc.documents[SYSTEM]["@odata.etag"] = 'W/"1"'
    bmc.hook(first(9, Answer(412), "PATCH"))
    _, refused = call(bmc, "arm_pxe", 1)
    assert refused.executed is False
    assert len(commands(bmc)) == 1


def test_status_does_not_look_at_the_lease(bmc):
    lease, refused = call(bmc, "power_state", 0)
    assert (refused, lease.seen) == (None, [])

"""What the operator is told of Omni: the code, the words and the remedy, in the log and in Redis."""

import threading
import time

import fakeredis
import pytest
from structlog.testing import capture_logs

from app.omni import errors
from app.omni.errors import OmniUnavailable, OwnerConflict
from app.state.health import health
from app.state.mirror import Mirror
from app.state.secrets import sealer
from app.watcher import provider as provider_module
from app.watcher.problem import NOT_YET, Problem, fault
from app.watcher.provider import Provider
from app.watcher.standing import Standing
from config.settings import Settings
from tests.unit.omni_in_memory import InMemoryOmni

TROUBLES = [
    errors.OmniUnavailable,
    errors.CertificateRefused,
    errors.NotOmni,
    errors.NotAuthenticated,
    errors.KeyExpired,
    errors.ClockWrong,
    errors.EulaNotAccepted,
    errors.NotRegistered,
    errors.RoleInsufficient,
]


class StillFollowers:
    """Followers whose watches are well, or have this problem."""

    found = None

    def problem(self):
        return self.found

    def established(self):
        return self.found is None

    def lag_s(self):
        return 0.0

    def compared_ago_s(self):
        return 1.0


class Site:
    def __init__(self, tmp_path):
        settings = Settings(omni_api_endpoint="http://192.0.2.9", api_advertise_address="192.0.2.8", state_dir=tmp_path)
        self.redis, self.omni, self.followers = fakeredis.FakeRedis(), InMemoryOmni(), StillFollowers()
        self.provider = Provider(settings, self.redis, self.omni, Mirror(self.redis, sealer(settings)))
        self.standing = Standing(self.redis, self.followers, self.provider)

    def told(self, found=None):
        self.standing.tell(found, announced=True, tls_problem="")
        return health(self.redis)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_all_well_is_told_as_connected(site):
    found = site.told()
    assert (found.omni_connected, found.problem, found.code, found.remedy) == (True, "", "", "")


def test_omni_that_is_well_from_the_start_is_logged_once(site):
    with capture_logs() as logs:
        site.told()
        site.told()
    assert [entry["event"] for entry in logs] == ["omni_ready"]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_has_its_own_code_and_remedy_in_the_log_and_in_redis(site, trouble):
    error = trouble("Watch", "infra_machine", "as Omni says it")
    site.followers.found = Problem.of(error)
    with capture_logs() as logs:
        found = site.told()
    assert logs == [
        {
            "event": "omni_not_ready",
            "log_level": "warning",
            "code": trouble.code,
            "problem": "Watch infra_machine: as Omni says it",
            "remedy": trouble.hint,
        }
    ]
    assert (found.omni_connected, found.code, found.remedy) == (False, trouble.code, trouble.hint)
    assert found.problem == "Watch infra_machine: as Omni says it"


def test_same_trouble_in_other_words_is_logged_once_and_its_end_as_well(site):
    with capture_logs() as logs:
        for number in range(5):
            found = site.told(Problem.of(OmniUnavailable("Get", f"wipe_status/m{number}", f"refused {number}")))
            assert found.problem == f"Get wipe_status: refused {number}"
        site.told(NOT_YET)
        site.told()
        site.told()
    assert [(entry["event"], entry.get("code")) for entry in logs] == [
        ("omni_not_ready", "omni-unreachable"),
        ("omni_not_ready", "starting"),
        ("omni_ready", None),
    ]


def test_machine_whose_records_omni_refuses_is_told_though_connected_until_it_goes_on(site):
    conflict = Problem.of(OwnerConflict("Update", "machine_status/m1", 'is owned by "else"'))
    site.standing.stuck("m1", conflict)
    found = site.told()
    assert (found.omni_connected, found.code, found.remedy) == (True, "owner-conflict", conflict.remedy)
    assert found.problem.startswith("Omni refuses records of 1 machine: ")
    assert "m1" not in found.problem  # everybody may ask for it
    site.standing.stuck("m2", conflict)
    assert site.told().problem.startswith("Omni refuses records of 2 machines: ")
    site.standing.goes_on("m1")
    assert site.told().problem.startswith("Omni refuses records of 1 machine: ")
    site.standing.only(["m1"])  # the other one is gone
    assert site.told().problem == ""


def test_trouble_with_omni_comes_before_that_of_a_machine(site):
    site.standing.stuck("m1", Problem.of(OwnerConflict("Update", "machine_status/m1", "is owned")))
    site.followers.found = fault("wipe_status cannot be followed", ValueError("x"))
    assert site.told().code == "fault"


# Heartbeats: where all watches go on although Omni refuses


@pytest.fixture
def beating(site, monkeypatch):
    monkeypatch.setattr(provider_module, "HEARTBEAT_RETRY_S", 0.01)
    site.provider.keep_beating()
    _until(lambda: site.omni.calls["update"])
    yield site
    site.provider.stop()


def _until(holds):
    deadline_s = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.005)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_heartbeat_that_is_refused_is_a_trouble_until_one_goes_through(beating, monkeypatch, trouble):
    def refuse(*_, **__):
        raise trouble("Update", "provider_health_status/bare-metal", "as Omni says it")

    with capture_logs() as logs:
        monkeypatch.setattr(beating.omni, "update", refuse)
        beating.provider.beat_now()
        _until(beating.provider.refused)
        assert not beating.standing.connected()
        found = beating.told()
        assert (found.omni_connected, found.code, found.remedy) == (False, trouble.code, trouble.hint)
        time.sleep(0.1)
        monkeypatch.undo()
        _until(beating.standing.connected)
    assert beating.told().code != trouble.code
    assert [entry["event"] for entry in logs].count("heartbeat_failed") == 1


def test_heartbeat_that_is_refused_for_itself_stops_nothing_else(beating, monkeypatch):
    def refuse(*_, **__):
        raise OwnerConflict("Update", "provider_health_status/bare-metal", 'is owned by "else"')

    monkeypatch.setattr(beating.omni, "update", refuse)
    beating.provider.beat_now()
    _until(lambda: beating.provider.problem)
    assert beating.standing.connected()
    assert beating.told().code == "owner-conflict"

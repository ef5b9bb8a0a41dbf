"""The clock, the key, its signature and the provider in Omni: what each answer means."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import fakeredis
import pytest
import redis

from app.doctor import account
from app.doctor.finding import Verdict
from app.omni.account import load_account
from app.omni.errors import EulaNotAccepted, NotAuthenticated, NotRegistered, OmniUnavailable, RoleInsufficient
from app.omni.kinds import Kind
from app.watcher.provider import HEARTBEAT, INSTALLATION, INSTALLATION_KEY, STATIC_LABEL
from config.settings import Settings
from lab.omni.keys import make_key
from tests.unit.omni_in_memory import PROVIDER, InMemoryOmni

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("skew_s", "verdict", "words"),
    [
        (0.4, Verdict.OK, "as Omni's"),
        (-4.9, Verdict.OK, "as Omni's"),
        (12.0, Verdict.WARNING, "12 s ahead of Omni's"),
        (-290.0, Verdict.WARNING, "290 s behind Omni's"),
        (301.0, Verdict.FAILED, "301 s ahead of Omni's"),
        (None, Verdict.SKIPPED, "Omni told no time"),
    ],
)
def test_difference_of_clocks_is_judged(skew_s, verdict, words):
    finding = account.clock_finding(skew_s)
    assert finding.verdict is verdict
    assert words in finding.words
    assert ("NTP" in finding.remedy) == (verdict in (Verdict.WARNING, Verdict.FAILED))


def key_findings(*, days_left=300, name="bare-metal"):
    made = make_key(name, created_s=int(time.time()) - 3600, life_s=3600 + days_left * 86_400)
    return account.key_findings(load_account(made.variable), "bare-metal", NOW)


def test_key_is_shown_by_its_account_and_its_end():
    [finding] = key_findings()
    assert finding.verdict is Verdict.OK
    assert finding.words.startswith("of bare-metal@infra-provider.serviceaccount.omni.sidero.dev, good until 20")


def test_key_that_ends_soon_is_told_with_how_to_renew_it():
    [finding] = key_findings(days_left=20)
    assert finding.verdict is Verdict.WARNING
    assert "omnictl infraprovider renewkey bare-metal" in finding.remedy


def test_key_of_an_account_that_is_no_providers_is_told():
    made = load_account(make_key("bare-metal").variable)
    [finding] = account.key_findings(account.ServiceAccount("ci", made.key), "bare-metal", NOW)
    assert finding.verdict is Verdict.WARNING
    assert "'ci'" in finding.words


def test_key_that_is_needed_and_missing_is_said():
    [finding] = account.look_at_key(site(omni_api_endpoint="https://omni.test"))
    assert finding.verdict is Verdict.FAILED
    assert finding.words == "OMNI_SERVICE_ACCOUNT_KEY: is required for an https:// endpoint"
    assert "omnictl infraprovider create" in finding.remedy


def test_omni_without_tls_needs_no_key():
    [finding] = account.look_at_key(site())
    assert finding.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, Verdict.OK),
        (NotRegistered("Get", "x", "not registered"), Verdict.OK),
        (RoleInsufficient("Get", "x", "insufficient role"), Verdict.OK),
        (NotAuthenticated("Get", "x", "invalid signature"), Verdict.FAILED),
        (EulaNotAccepted("Get", "x", "EULA"), Verdict.FAILED),
        (OmniUnavailable("Get", "x", "connection refused"), Verdict.FAILED),
    ],
)
def test_answer_to_a_signed_call_is_judged(error, verdict):
    finding = account.signature_finding(error, signed=True)
    assert finding.verdict is verdict
    if verdict is Verdict.FAILED:
        assert error.words in finding.words
        assert finding.remedy == error.hint


def test_unsigned_call_that_is_refused_tells_of_the_key():
    finding = account.signature_finding(NotAuthenticated("Get", "x", "invalid signature"), signed=False)
    assert "set OMNI_SERVICE_ACCOUNT_KEY" in finding.remedy


def site(omni=None, client=None, state_dir=None, **given):
    settings = Settings(
        **{"omni_api_endpoint": "http://omni.test", **given}, **({"state_dir": state_dir} if state_dir else {})
    )
    return SimpleNamespace(settings=settings, omni=omni, redis=client or fakeredis.FakeRedis())


def test_provider_that_was_never_started_is_registered():
    [finding] = account.look_at_registration(site(InMemoryOmni()))
    assert finding.verdict is Verdict.OK
    assert "it has never been started" in finding.words


def test_provider_that_runs_is_not_another_one(tmp_path):
    omni, client = InMemoryOmni(), fakeredis.FakeRedis()
    client.set(INSTALLATION_KEY, "ours")
    omni.update(Kind.PROVIDER_STATUS, PROVIDER, lambda d: d.labels.update({STATIC_LABEL: ""}), create=True)
    beat(omni, "ours")
    [finding] = account.look_at_registration(site(omni, client))
    assert finding.verdict is Verdict.OK
    assert "rights of a provider" in finding.words


def test_status_of_a_provider_of_another_kind_is_told():
    omni = InMemoryOmni()
    omni.give(Kind.PROVIDER_STATUS, PROVIDER)
    [finding] = account.look_at_registration(site(omni))
    assert finding.verdict is Verdict.WARNING
    assert "no machine would appear" in finding.words


@pytest.mark.parametrize(("forced", "verdict"), [(False, Verdict.FAILED), (True, Verdict.WARNING)])
@pytest.mark.parametrize("theirs", ["theirs", ""])
def test_provider_of_another_installation_is_told(theirs, forced, verdict):
    omni, client = InMemoryOmni(), fakeredis.FakeRedis()
    client.set(INSTALLATION_KEY, "ours")
    beat(omni, theirs)
    _, finding = account.look_at_registration(site(omni, client, force_takeover=forced))
    assert finding.verdict is verdict
    assert "another provider runs under this id" in finding.words


def test_provider_that_keeps_our_annotations_with_its_own_heartbeat_is_told():
    omni, client = InMemoryOmni(), fakeredis.FakeRedis()
    client.set(INSTALLATION_KEY, "ours")
    stamp = datetime.now(UTC) - timedelta(seconds=40)
    beat(omni, "ours", ago=timedelta(seconds=40), **{HEARTBEAT: stamp.isoformat()})
    beat(omni, "")  # as the Go provider writes it: what stands there but for the time
    _, finding = account.look_at_registration(site(omni, client))
    assert finding.verdict is Verdict.FAILED


def test_provider_that_has_ended_is_no_other_one():
    omni = InMemoryOmni()
    beat(omni, "theirs", ago=timedelta(seconds=60))
    [finding] = account.look_at_registration(site(omni))
    assert finding.verdict is Verdict.OK


def test_what_omni_refuses_is_said_with_its_remedy():
    class Refusing:
        def get(self, kind, _resource_id):
            raise NotRegistered("Get", kind.value, 'infra provider with name "x" is not registered in the system')

    [finding] = account.look_at_registration(site(Refusing()))
    assert finding.verdict is Verdict.FAILED
    assert finding.remedy == NotRegistered.hint


def test_installation_is_found_in_the_state_directory_while_redis_is_away(tmp_path, monkeypatch):
    (tmp_path / "installation").write_text("ours\n")
    client = fakeredis.FakeRedis()
    assert account.installation(site(client=client, state_dir=tmp_path)) == "ours"
    client.set(INSTALLATION_KEY, "of redis")
    assert account.installation(site(client=client, state_dir=tmp_path)) == "of redis"

    def away(_key):
        raise redis.ConnectionError

    monkeypatch.setattr(client, "get", away)
    assert account.installation(site(client=client, state_dir=tmp_path)) == "ours"
    assert account.installation(site(client=client, state_dir=tmp_path / "missing")) == ""


def beat(omni, installation, ago=timedelta(), **annotations):
    def edit(draft):
        draft.spec.last_heartbeat_timestamp.FromDatetime(datetime.now(UTC) - ago)
        if installation:
            draft.annotations[INSTALLATION] = installation
        draft.annotations.update(annotations)

    omni.update(Kind.PROVIDER_HEALTH_STATUS, PROVIDER, edit, create=True)

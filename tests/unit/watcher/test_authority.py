"""Our own certificate authority: made once, kept in Omni, never replaced."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest

from app.omni.errors import OmniUnavailable
from app.omni.kinds import Kind
from app.state.mirror import Mirror
from app.state.secrets import Sealer
from app.tls.authority import Authority, make_authority, open_authority
from app.watcher.authority import ID, AuthorityKeeper
from config.settings import Settings
from tests.unit.omni_in_memory import InMemoryOmni


class Site:
    def __init__(self, **settings):
        self.omni = InMemoryOmni()
        self.client = fakeredis.FakeRedis()
        self.mirror = Mirror(self.client, Sealer(b"k" * 32))
        self.settings = Settings(tls_enabled=True, **settings)
        self.keeper = self.new_keeper()

    def new_keeper(self):
        return AuthorityKeeper(self.settings, self.omni, self.mirror)

    def stored(self):
        spec = self.omni.stored[Kind.TLS_CONFIG, ID].spec
        return Authority(spec.ca_cert, spec.ca_key)

    def store(self, authority):
        self.omni.give(Kind.TLS_CONFIG, ID, ca_cert=authority.certificate, ca_key=authority.key)


@pytest.fixture
def site():
    return Site()


def test_first_start_makes_an_authority_in_omni_and_tells_it(site):
    site.keeper.refresh()
    now = datetime.now(UTC)
    certificate, _ = open_authority(site.stored(), now)
    assert certificate.not_valid_after_utc > now + timedelta(days=29 * 365)
    assert site.mirror.authority() == site.stored()


def test_later_starts_use_the_one_that_stands(site):
    site.keeper.refresh()
    before = site.stored()
    site.client.flushall()
    site.new_keeper().refresh()
    assert site.stored() == before == site.mirror.authority()
    assert site.omni.calls["create"] == 1


def test_life_of_the_authority_is_the_option():
    site = Site(tls_ca_ttl_s=3600.0)
    site.keeper.refresh()
    certificate, _ = open_authority(site.stored(), datetime.now(UTC))
    assert certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(hours=2)


def test_process_that_comes_second_takes_what_the_first_one_made(site):
    get = site.omni.get
    seen = []

    def first_finds_nothing(kind, resource_id):
        found = get(kind, resource_id)
        if not seen:
            seen.append(resource_id)
            site.new_keeper().refresh()  # the other process comes in between
        return found

    site.omni.get = first_finds_nothing
    site.keeper.refresh()
    assert site.omni.calls["create"] == 2
    assert site.mirror.authority() == site.stored()


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (lambda: Authority("", ""), "no PEM certificate"),
        (lambda: make_authority(60, datetime.now(UTC) - timedelta(days=9)), "has expired"),
        (lambda: Authority(make_authority(60, datetime.now(UTC)).certificate, "x"), "no PEM private key"),
    ],
)
def test_authority_that_cannot_be_used_is_told_and_left_as_it_is(site, spoiled, words):
    site.store(spoiled())
    before = site.stored()
    site.keeper.refresh()
    assert words in site.keeper.problem
    assert "TLSConfig.bare-metal.infraprovider.sidero.dev 'tls-config'" in site.keeper.problem
    assert "PRIVATE" not in site.keeper.problem
    assert site.stored() == before
    assert site.mirror.authority() is None


def test_authority_that_was_good_goes_on_when_the_one_in_omni_is_spoiled(site):
    site.keeper.refresh()
    good = site.mirror.authority()
    site.store(Authority("", ""))
    site.keeper.refresh()
    assert site.keeper.problem
    assert site.mirror.authority() == good


def test_problem_ends_when_the_spoiled_one_is_removed(site):
    site.store(Authority("", ""))
    site.keeper.refresh()
    site.omni.remove(Kind.TLS_CONFIG, ID)
    site.keeper.refresh()
    assert site.keeper.problem == ""
    assert site.mirror.authority() == site.stored()


def test_spoiled_one_is_looked_at_again_every_few_seconds(site, monkeypatch):
    site.store(Authority("", ""))
    site.keeper.refresh()
    asked = site.omni.calls["get"]
    site.keeper.retry()
    assert site.omni.calls["get"] == asked
    monkeypatch.setattr("app.watcher.authority.RETRY_S", 0.0)
    site.keeper.retry()
    assert site.omni.calls["get"] == asked + 1
    site.store(make_authority(3600, datetime.now(UTC)))
    site.keeper.retry()
    assert site.keeper.problem == ""
    asked = site.omni.calls["get"]
    site.keeper.retry()
    assert site.omni.calls["get"] == asked


def test_omni_that_is_away_is_told_to_the_caller(site):
    site.omni.away = True
    with pytest.raises(OmniUnavailable):
        site.keeper.refresh()


@pytest.mark.parametrize("without", [{"tls_enabled": False}, {"tls_cert_file": "/c"}])
def test_no_authority_is_made_where_none_is_needed(without):
    site = Site()
    site.settings = replace(site.settings, **without)
    site.new_keeper().refresh()
    assert site.omni.calls == {}

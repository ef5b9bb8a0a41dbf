"""How machines join, kept in the mirror as Omni has it."""

import fakeredis
import pytest
import yaml

from app.boot.connection_params import provider_token
from app.omni.errors import OmniUnavailable, PermissionRefused, RoleInsufficient
from app.omni.kinds import Kind
from app.omni.resource import Draft
from app.state.mirror import Mirror
from app.state.mirror_keys import JOIN_CONFIG
from app.state.secrets import Sealer
from app.watcher.join import PARAMS_ID, JoinKeeper
from tests.unit.omni_in_memory import PROVIDER, InMemoryOmni

TYPE = "providerjoinconfigs.omni.sidero.dev"
TOKEN = "canary-join-token"
PARAMS = {"api_endpoint": "grpc://omni.test:8090", "join_token": TOKEN, "events_port": 8091, "logs_port": 8092}


class Site:
    def __init__(self):
        self.omni, self.redis = InMemoryOmni(), fakeredis.FakeRedis()
        self.mirror = Mirror(self.redis, Sealer(b"k" * 32))
        self.keeper = JoinKeeper(PROVIDER, self.omni, self.mirror)

    def refreshed(self):
        self.keeper.refresh()
        return self.mirror.join_config()

    def has_type(self):
        self.omni.give(Kind.RESOURCE_DEFINITION, TYPE)

    def has_config(self, text):
        def edit(draft: Draft) -> None:
            draft.spec.config.config = text

        self.has_type()
        self.omni.update(Kind.PROVIDER_JOIN_CONFIG, PROVIDER, edit, create=True)

    def has_params(self, **fields):
        self.omni.give(Kind.CONNECTION_PARAMS, PARAMS_ID, **{**PARAMS, **fields})


@pytest.fixture
def site():
    return Site()


def test_configuration_of_omni_is_kept_as_it_is(site):
    site.has_config("kind: SideroLinkConfig\n# a comment\n")
    site.has_params()
    assert site.refreshed() == "kind: SideroLinkConfig\n# a comment\n"
    assert site.keeper.problem is None


def test_replaced_configuration_is_followed(site):
    site.has_config("kind: One\n")
    site.refreshed()
    site.has_config("kind: Two\n")
    assert site.refreshed() == "kind: Two\n"


def test_unchanged_configuration_is_not_written_again(site):
    site.has_config("kind: One\n")
    site.refreshed()
    before = site.redis.get(JOIN_CONFIG)
    site.refreshed()
    assert site.redis.get(JOIN_CONFIG) == before


def test_emptied_redis_gets_it_again(site):
    site.has_config("kind: One\n")
    site.refreshed()
    site.redis.flushall()
    assert site.refreshed() == "kind: One\n"


def test_it_stands_sealed(site):
    site.has_config(f"kind: One\ntoken: {TOKEN}\n")
    site.refreshed()
    assert TOKEN.encode() not in site.redis.get(JOIN_CONFIG)


def test_omni_without_the_type_gives_params_of_which_it_is_made(site):
    site.has_params()
    link, *_ = yaml.safe_load_all(site.refreshed())
    assert site.keeper.problem is None
    token = provider_token(TOKEN, PROVIDER).replace(":", "%3A").replace("+", "%2B").replace("=", "%3D")
    assert link["apiUrl"] == f"grpc://omni.test:8090?jointoken={token}"


def test_changed_params_are_followed(site):
    site.has_params()
    before = site.refreshed()
    site.has_params(join_token="another")
    assert site.refreshed() not in (before, None)


def test_omni_that_is_updated_gives_the_type_from_then_on(site):
    site.has_params()
    assert "v1alpha1" in site.refreshed()
    site.has_config("kind: New\n")
    assert site.refreshed() == "kind: New\n"


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_type_without_our_resource_is_a_problem_until_it_is_there(site, text):
    site.has_params()  # of no use: an Omni that has the type takes no token of version 1
    site.has_config(text) if text is not None else site.has_type()
    assert site.refreshed() is None
    problem = site.keeper.problem
    assert problem.code == "no-join-config"
    assert f"ProviderJoinConfig {PROVIDER!r} is {'not there' if text is None else 'empty'}" in problem.words
    assert "omnictl infraprovider create bare-metal" in problem.remedy
    site.has_config("kind: One\n")
    assert site.refreshed() == "kind: One\n"
    assert site.keeper.problem is None


def test_resource_that_goes_away_leaves_the_one_before_and_is_told(site):
    site.has_config("kind: One\n")
    site.refreshed()
    del site.omni.stored[Kind.PROVIDER_JOIN_CONFIG, PROVIDER]
    assert site.refreshed() == "kind: One\n"
    assert "is not there" in site.keeper.problem.words


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"events_port": 0}, "no port for events"),
        ({"logs_port": 0}, "no port for logs"),
        ({"api_endpoint": ""}, "no address"),
    ],
)
def test_params_without_a_port_or_an_address_are_a_problem_until_they_have_it(site, lacking, said):
    site.has_params(**lacking)
    assert site.refreshed() is None
    assert said in site.keeper.problem.words
    assert "Start Omni with --" in site.keeper.problem.remedy
    assert TOKEN not in site.keeper.problem.words + site.keeper.problem.remedy
    site.has_params()
    assert site.refreshed()
    assert site.keeper.problem is None


def test_omni_with_neither_is_a_problem(site):
    assert site.refreshed() is None
    assert "neither ProviderJoinConfigs nor ConnectionParams" in site.keeper.problem.words


def test_omni_that_is_away_is_for_the_caller(site):
    site.has_config("kind: One\n")
    site.refreshed()
    site.omni.away = True
    with pytest.raises(OmniUnavailable):
        site.keeper.refresh()
    assert site.mirror.join_config() == "kind: One\n"
    assert site.keeper.problem is None


@pytest.mark.parametrize("error", [PermissionRefused, RoleInsufficient])
def test_omni_that_refuses_to_tell_is_a_problem_and_stops_nothing_else(site, monkeypatch, error):
    def refuse(*_):
        raise error("Get", "resource_definition", "no access")

    monkeypatch.setattr(site.omni, "get", refuse)
    assert site.refreshed() is None
    assert site.keeper.problem.code == error.code
    assert site.keeper.problem.words.startswith("how machines join cannot be read: ")


def test_problem_is_logged_once(site, monkeypatch):
    logged = []
    monkeypatch.setattr("app.watcher.join.log.error", lambda event, **fields: logged.append(fields["problem"]))
    for _ in range(3):
        site.refreshed()
    site.has_type()
    site.refreshed()
    assert len(logged) == 2

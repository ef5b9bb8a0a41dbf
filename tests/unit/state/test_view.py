"""A machine as people look at it: what its BMC is to blame for is said, and what may be ordered now."""

from datetime import UTC, datetime

import fakeredis
import pytest

from app.machine.model import Acceptance, BmcConfiguration, Ipmi, PowerState
from app.machine.verbs import Verb
from app.omni.kinds import Kind
from app.state.bmc_notes import BmcFound, BmcTrouble, found_text, trouble_text
from app.state.connection import now_ms
from app.state.facts import PowerRead, RefusedTunnel
from app.state.lease import Leases
from app.state.mirror import Mirror
from app.state.power import PowerNotes
from app.state.secrets import sealer
from app.state.view import Views, offered, refused_words
from config.settings import Settings
from tests.unit.omni_in_memory import InMemoryOmni
from tests.unit.refusals import note_refused

MACHINE = "4c4c4544-0042-3510-8051-b4c04f573332"


class Site:
    """A machine in a cluster, wiped, with a BMC."""

    def __init__(self, folder):
        settings = Settings(omni_api_endpoint="http://192.0.2.9", api_advertise_address="192.0.2.8", state_dir=folder)
        self.redis, omni = fakeredis.FakeRedis(), InMemoryOmni()
        mirror = Mirror(self.redis, sealer(settings))
        accepted = Acceptance.ACCEPTED.value
        mirror.put(omni.give(Kind.INFRA_MACHINE, MACHINE, acceptance_status=accepted, cluster_talos_version="1.13.7"))
        mirror.put(omni.give(Kind.WIPE_STATUS, MACHINE, initial_wipe_done=True))
        mirror.put(omni.give(Kind.MACHINE_STATUS, MACHINE, initialized=True))
        mirror.put(
            omni.update(
                Kind.BMC_CONFIGURATION, MACHINE, lambda d: setattr(d.spec.api, "address", "192.0.2.1:80"), create=True
            )
        )
        self.omni, self.mirror, self.settings = omni, mirror, settings
        self.power, self.views = PowerNotes(self.redis), Views(self.redis, sealer(settings), settings)

    def uses(self, login):
        """Another login of the kind `ipmi` is in use."""

        def edit(draft):
            draft.spec.Clear()
            for name in ("address", "port", "username", "password"):
                setattr(draft.spec.ipmi, name, getattr(login.ipmi, name))

        self.mirror.put(self.omni.update(Kind.BMC_CONFIGURATION, MACHINE, edit))

    def read(self, state):
        self.power.observed_at(MACHINE, state, now_ms(self.redis))

    def fails(self, words, hint="", *, refused=False):
        self.read(PowerState.UNKNOWN)
        trouble = BmcTrouble(now_ms(self.redis), refused, words, "BmcError", hint, place="192.0.2.1:80")
        self.redis.hset(f"om:m:{MACHINE}", "f:bmc-trouble", trouble_text(trouble))

    def seen(self):
        return self.views.one(MACHINE)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_bmc_that_refuses_its_login_is_parked_with_its_answer(site):
    site.fails("401", "Correct the login", refused=True)
    view = site.seen()
    since = datetime.fromtimestamp(view.bmc_trouble.since_ms / 1000, UTC)
    assert view.phase == "parked"
    fault = f"the BMC refuses the login since {since:%Y-%m-%d %H:%M} UTC (BmcError)"
    assert view.sentence == f"Its power is not known: {fault}. 401. Correct the login"


def test_bmc_that_cannot_be_read_is_told_and_not_parked(site):
    site.fails("192.0.2.1 does not answer")
    view = site.seen()
    assert view.phase == "installing"
    assert "the BMC cannot be read since" in view.sentence
    assert view.sentence.endswith("192.0.2.1 does not answer")
    site.redis.hset(f"om:m:{MACHINE}", "f:bmc-next", 1_700_000_000_000)
    assert "(BmcError, asked again at 22:13:20 UTC). 192" in site.seen().sentence
    assert "runs as it should" not in " ".join(view.decision.reasons)


def test_bmc_that_can_be_read_again_is_told_no_more(site):
    site.fails("401", refused=True)
    site.read(PowerState.ON)
    view = site.seen()
    assert view.bmc_trouble is None
    assert view.phase == "installing"


def test_answer_that_is_too_old_is_shown_with_its_time_and_counts_for_nothing(site):
    read_ms = now_ms(site.redis) - 420_000
    site.redis.hset(f"om:m:{MACHINE}", "f:power", f"OFF@{read_ms}")
    view = site.seen()
    assert view.power_read == PowerRead(on=False, at_ms=read_ms)
    assert view.machine.facts.powered_on is None


def test_last_answer_of_a_bmc_that_cannot_be_read_is_kept_until_the_next_one(site):
    site.read(PowerState.OFF)
    assert site.seen().power_read is None
    site.fails("192.0.2.1 does not answer")
    site.fails("192.0.2.1 does not answer")
    assert site.seen().power_read.on is False
    site.read(PowerState.ON)
    assert site.seen().power_read is None


def test_answer_from_before_we_touched_the_power_is_not_shown(site):
    site.read(PowerState.OFF)
    site.fails("192.0.2.1 does not answer")
    site.redis.hset(f"om:m:{MACHINE}", "f:acted", now_ms(site.redis) + 1)
    assert site.seen().power_read is None


def test_what_its_bmc_is_is_part_of_the_view(site):
    site.redis.hset(f"om:m:{MACHINE}", "f:bmc-found", found_text(BmcFound("redfish", vendor="Wiwynn", found_ms=7)))
    assert site.seen().bmc_found == BmcFound("redfish", vendor="Wiwynn", found_ms=7)


@pytest.mark.parametrize(("ago_ms", "shown"), [(1_000, True), (86_300_000, True), (86_500_000, False)])
def test_second_tunnel_that_was_refused_is_shown_for_a_day(site, ago_ms, shown):
    assert site.seen().refused_tunnel is None
    at_ms = now_ms(site.redis) - ago_ms
    site.redis.hset(f"om:m:{MACHINE}", "f:refused-tunnel", f"{at_ms} 192.0.2.66")
    assert site.seen().refused_tunnel == (RefusedTunnel(at_ms, "192.0.2.66") if shown else None)


def test_refused_tunnel_is_told_with_its_address_and_time():
    told = refused_words(RefusedTunnel(1_700_000_000_000, "192.0.2.66"))
    assert told == "A second tunnel from 192.0.2.66 was refused at 2023-11-14 22:13:20 UTC"
    assert "unknown address" in refused_words(RefusedTunnel(1, ""))


def test_nothing_may_be_ordered_while_an_operation_runs(site):
    site.read(PowerState.OFF)
    assert {o.verb for o in offered(site.seen()) if not o.refusal} >= {Verb.RETRY, Verb.POWER_ON}
    Leases(site.redis).take(MACHINE, "power_on", "t1")
    assert {o.refusal for o in offered(site.seen())} == {"power_on runs now"}


def test_machine_that_waits_for_its_turn_to_draw_power_says_which_and_when(site):
    site.read(PowerState.OFF)
    at_ms = now_ms(site.redis) + 90_000
    site.redis.hset(f"om:m:{MACHINE}", "f:turn", f"{at_ms} 30")
    at = f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S}"
    words = f"power_on waits for its turn, at about {at} UTC: 30 power-ons a minute"
    assert (site.seen().sentence, site.seen().waits) == (words, words)


@pytest.mark.parametrize(("state", "ahead_ms"), [(PowerState.ON, 90_000), (PowerState.OFF, -61_000)])
def test_turn_that_is_over_or_not_wanted_any_more_is_not_shown(site, state, ahead_ms):
    site.read(state)
    site.redis.hset(f"om:m:{MACHINE}", "f:turn", f"{now_ms(site.redis) + ahead_ms} 30")
    assert site.seen().waits == "" and "turn" not in site.seen().sentence


def test_turn_of_a_machine_whose_task_is_queued_is_not_shown(site):
    site.read(PowerState.OFF)
    site.redis.hset(f"om:m:{MACHINE}", "f:turn", f"{now_ms(site.redis) + 90_000} 30")
    Leases(site.redis).mark_queued(MACHINE, "power_on")
    assert site.seen().sentence == "power_on is queued"


def test_refused_login_of_the_agent_is_told_with_what_it_waits_for(site):
    ipmi = BmcConfiguration(ipmi=Ipmi("192.0.2.7", 623, "talos-agent", "pw"))
    site.uses(ipmi)
    site.fails("no such user", "Correct the login in Omni", refused=True)
    note_refused(site.redis, sealer(site.settings), MACHINE, ipmi)
    sentence = site.seen().sentence
    assert "no such user. The BMC refuses the login that was set up through the agent, so the agent is to" in sentence
    assert "Correct the login" not in sentence

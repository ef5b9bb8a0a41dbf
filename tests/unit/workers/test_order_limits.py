"""An order at the command line keeps the limits that the watcher has, whatever its own shell says; and a retry that has
a BMC asked again has done what was asked."""

from __future__ import annotations

from dataclasses import replace

import fakeredis
import pytest

from app.machine.verbs import Verb
from app.state.deciding import LIMITS, publish_options, with_published_limits
from app.state.power_turns import PowerTurns
from config.settings import Settings
from tests.unit.workers.conftest import MACHINE, Bottle
from tests.unit.workers.test_order import Sent, ordered, sent, wipe_due

__all__ = ["sent"]
OTHER = "4c4c4544-0042-3510-8051-000000000000"


def published(bottle: Bottle, **limits: int) -> None:
    publish_options(bottle.services.redis, replace(bottle.services.settings, **limits))  # type: ignore[arg-type]


def off_in_a_cluster(bottle: Bottle) -> None:
    bottle.accepted(cluster_talos_version="1.13.7", install_event_id=1)
    bottle.wiped()
    bottle.bmc.on = False
    bottle.services.power_notes.observed({MACHINE: bottle.bmc.power_state()})


def test_order_of_a_power_on_takes_its_place_in_the_line_of_the_watchers_limit(bottle: Bottle, sent: Sent) -> None:
    off_in_a_cluster(bottle)
    published(bottle, max_power_ons_per_minute=2)
    PowerTurns(bottle.services.redis, 2).take(OTHER)
    assert ordered(bottle, Verb.POWER_ON).skipped.startswith("it waits for its turn: 2 power-ons a minute; about ")
    assert sent.tasks == []


def test_order_of_a_wipe_waits_for_one_of_the_watchers_slots(bottle: Bottle, sent: Sent) -> None:
    wipe_due(bottle)
    published(bottle, max_concurrent_wipes=1)
    bottle.services.leases.take(OTHER, "wipe", "t")
    bottle.services.redis.sadd("om:wipe-slots", OTHER)
    assert "as many wipes run as may" in ordered(bottle, Verb.WIPE).skipped
    assert sent.tasks == []


def test_watcher_without_a_limit_counts_more_than_the_shell_that_has_one(bottle: Bottle, sent: Sent) -> None:
    off_in_a_cluster(bottle)
    published(bottle, max_power_ons_per_minute=0)
    PowerTurns(bottle.services.redis, 2).take(OTHER)
    assert ordered(bottle, Verb.POWER_ON, max_power_ons_per_minute=2).started == ("power_on",)


@pytest.mark.parametrize("text", [b"{}", b"no json", b"[1]", b'{"max_wipes": 1}', b'{"max_concurrent_wipes": "x"}'])
def test_limits_of_another_version_are_passed_over(text: bytes) -> None:
    client, settings = fakeredis.FakeRedis(), Settings(max_concurrent_wipes=3)
    assert with_published_limits(client, settings) is settings
    client.set(LIMITS, text)
    assert with_published_limits(client, settings) is settings


def test_retry_that_has_the_bmc_asked_again_says_that_alone(bottle: Bottle, sent: Sent) -> None:
    bottle.accepted(cluster_talos_version="1.13.7", install_event_id=1)
    bottle.wiped()
    result = ordered(bottle, Verb.RETRY)
    assert result.asks_again and not result.started
    assert result.skipped == "its BMC is asked again with the next power sweep"
    assert ordered(bottle, Verb.POWER_ON).asks_again is False


def test_retry_of_what_is_not_due_asks_no_bmc(bottle: Bottle, sent: Sent) -> None:
    bottle.accepted()
    bottle.wiped()
    bottle.bmc.on = False
    bottle.services.power_notes.observed({MACHINE: bottle.bmc.power_state()})
    result = ordered(bottle, Verb.RETRY)
    assert result.skipped.startswith("Nothing is due. ") and not result.asks_again

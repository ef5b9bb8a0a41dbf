"""What Prometheus is told, that the documentation names all of it, and that the alert rules look at nothing else."""

import json
import re
import time
from pathlib import Path

import fakeredis
import pytest
import redis
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.state import metrics
from app.state.boots import Boots
from app.state.health import WatcherHealth, health, note_watcher
from app.state.history import History, HistoryEntry
from app.state.metrics import note_sweep
from tests.unit.web.stand_ins import MACHINE_ID, picture

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store():
    return fakeredis.FakeRedis()


@pytest.fixture
def told(site, store, monkeypatch):
    """What `/metrics` tells now: values by name and labels."""
    monkeypatch.setattr("app.web.metrics.live_gateways", lambda client: {"g1"})
    read = metrics.read
    monkeypatch.setattr("app.web.metrics.metrics.read", lambda _, here_ms: read(store, here_ms))
    monkeypatch.setattr("app.web.metrics.read_health", lambda _: health(store))

    def ask():
        answer = site.get("/metrics")
        assert answer.status_code == 200
        families = list(text_string_to_metric_families(answer.text))
        values = {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}
        return values, {family.name for family in families}

    return ask


def entry(operation, outcome, took_s):
    return HistoryEntry(operation, "", "t", 1_000, 1_000 + int(took_s * 1000), outcome, "words", 1)


def test_attempts_are_counted_by_outcome_and_by_how_long_they_took(told, store):
    history = History(store)
    history.add(MACHINE_ID, entry("wipe", "done", 2.5))
    history.add(MACHINE_ID, entry("wipe", "failed", 200_000))
    metrics.count_skip(store, "wipe")
    values, _ = told()
    assert values["omni_metal_operations_total", "done", "wipe"] == 1
    assert values["omni_metal_operations_total", "failed", "wipe"] == 1
    assert values["omni_metal_operations_total", "skipped", "wipe"] == 1
    assert values["omni_metal_operations_total", "done", "reboot"] == 0
    assert values["omni_metal_operation_duration_seconds_bucket", "1", "wipe"] == 0
    assert values["omni_metal_operation_duration_seconds_bucket", "3", "wipe"] == 1
    assert values["omni_metal_operation_duration_seconds_bucket", "86400", "wipe"] == 1
    assert values["omni_metal_operation_duration_seconds_bucket", "+Inf", "wipe"] == 2
    assert values["omni_metal_operation_duration_seconds_sum", "wipe"] == 200_002.5


def test_boots_are_counted_by_what_was_decided(told, store):
    boots = Boots(store)
    boots.note(MACHINE_ID, "192.0.2.1", "agent-pxe")
    boots.note(MACHINE_ID, "192.0.2.1", "agent-pxe")
    boots.count("refused")
    values, _ = told()
    assert values["omni_metal_boots_total", "agent-pxe"] == 2
    assert values["omni_metal_boots_total", "refused"] == 1
    assert values["omni_metal_boots_total", "talos-disk"] == 0


def test_what_was_turned_away_is_counted_by_kind(told, store):
    assert told()[0]["omni_metal_boots_rate_limited_total",] == 0
    metrics.count_rate_limited(store, 5)
    store.incrby(metrics.CONFIG_REFUSED, 2)
    store.incrby(metrics.TUNNELS_REFUSED, 3)
    values, _ = told()
    assert values["omni_metal_boots_rate_limited_total",] == 5
    assert values["omni_metal_config_refused_total",] == 2
    assert values["omni_metal_tunnels_refused_total",] == 3


def test_queue_tells_its_depth_and_how_long_its_first_task_waits(told, store):
    for age_s in (40, 10):
        sent_ms = int((time.time() - age_s) * 1000)
        store.lpush("wipe", json.dumps({"headers": {metrics.SENT_HEADER: sent_ms}}))
    store.lpush("bmc", json.dumps({"headers": {}}))  # as another program sends it
    values, _ = told()
    assert values["omni_metal_queue_depth", "wipe"] == 2
    assert values["omni_metal_queue_oldest_age_seconds", "wipe"] == pytest.approx(40, abs=2)
    assert values["omni_metal_queue_depth", "bmc"] == 1
    assert ("omni_metal_queue_oldest_age_seconds", "bmc") not in values
    assert values["omni_metal_queue_oldest_age_seconds", "poll"] == 0


def test_sweep_of_several_parts_is_told_as_one(told, store):
    now_ms = int(time.time() * 1000)
    note_sweep(store, 0, now_ms - 3_000, 1)
    note_sweep(store, 1, now_ms - 2_500, 2)
    store.hset(metrics.SWEEPS, "9", json.dumps([1, 2, 50]))  # there were more machines once
    values, _ = told()
    assert values["omni_metal_sweep_duration_seconds",] == pytest.approx(3, abs=0.5)
    assert values["omni_metal_sweep_age_seconds",] == pytest.approx(0, abs=0.5)
    assert values["omni_metal_bmc_unread",] == 3


def test_tunnels_of_gateways_that_are_gone_do_not_count(told, store):
    store.hset(metrics.TUNNELS, mapping={"g1": 7, "gone": 100})
    assert told()[0]["omni_metal_tunnels",] == 7


def test_machines_are_told_by_phase_and_every_phase_is_there(told, site):
    site.mirror.machines[MACHINE_ID] = picture()
    values, _ = told()
    assert sum(value for name, value in values.items() if name[0] == "omni_metal_machines") == 1
    assert values["omni_metal_machines", "parked"] == 0


def test_watcher_of_another_version_is_read_as_far_as_it_is_understood(store):
    note_watcher(store, WatcherHealth(omni_connected=True, problem=""))
    said = json.loads(store.get("om:watcher:health")) | {"of_the_future": 1}
    del said["watch_lag_s"]
    store.set("om:watcher:health", json.dumps(said))
    assert health(store).omni_connected and health(store).watch_lag_s == 0


def test_redis_that_does_not_answer_is_told_and_nothing_else(site, monkeypatch):
    def away(*_):
        raise redis.ConnectionError

    monkeypatch.setattr("app.web.metrics.metrics.read", away)
    names = {family.name for family in text_string_to_metric_families(site.get("/metrics").text)}
    assert names == {"omni_metal_build_info", "omni_metal_redis_up"}


def test_metrics_need_the_token_where_there_is_one(make_site):
    assert make_site(api_token="t" * 20).get("/metrics").status_code == 401


def test_documentation_names_every_metric_and_no_other(told, store):
    note_sweep(store, 0, int(time.time() * 1000), 0)
    History(store).add(MACHINE_ID, entry("wipe", "done", 1))
    documented = re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    assert {name.removesuffix("_total") for name in documented} == told()[1]


def test_alert_rules_look_at_metrics_that_there_are():
    rules = yaml.safe_load((ROOT / "config/alerts.yaml").read_text())["groups"][0]["rules"]
    documented = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    for rule in rules:
        used = set(re.findall(r"omni_metal_\w+", rule["expr"]))
        assert used <= documented, rule["alert"]
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10

"""The probes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from app.omni import errors
from tests.unit.web.stand_ins import Site


def test_process_is_alive_without_redis(site: Site) -> None:
    site.health = redis.ConnectionError("connection refused")
    answer = site.get("/healthz", "10.0.0.7")
    assert (answer.status_code, answer.json) == (200, {"status": "alive"})


def test_everything_up_is_ready(site: Site) -> None:
    answer = site.get("/readyz", "10.0.0.7")
    assert answer.status_code == 200
    assert answer.json["status"] == "ready"
    assert all(check["ok"] and check["words"] for check in answer.json["checks"].values())


@pytest.mark.parametrize(("field", "check"), [("mirror_complete", "mirror"), ("watcher_alive", "watcher")])
def test_missing_part_is_not_ready_and_named(site: Site, field: str, check: str) -> None:
    site.health = replace(site.health, **{field: False})
    answer = site.get("/readyz")
    assert answer.status_code == 503
    assert [name for name, found in answer.json["checks"].items() if not found["ok"]] == [check]
    assert answer.json["checks"][check]["words"]


def test_omni_away_is_told_but_boots_go_on(site: Site) -> None:
    site.health = replace(
        site.health,
        omni_connected=False,
        problem="cannot reach Omni at http://omni",
        code="omni-unreachable",
        remedy="Is it running?",
    )
    answer = site.get("/readyz")
    assert answer.status_code == 200
    assert answer.json["checks"]["omni"] == {
        "ok": False,
        "words": "cannot reach Omni at http://omni",
        "required": False,
        "code": "omni-unreachable",
        "remedy": "Is it running?",
    }


@pytest.mark.parametrize(
    "trouble",
    [errors.NotAuthenticated, errors.EulaNotAccepted, errors.NotRegistered, errors.RoleInsufficient, errors.ClockWrong],
)
def test_each_refusal_of_the_account_is_told_with_its_remedy(site: Site, trouble: type[errors.OmniError]) -> None:
    site.health = replace(
        site.health, omni_connected=False, problem="as Omni says it", code=trouble.code, remedy=trouble.hint
    )
    told = site.get("/readyz").json["checks"]["omni"]
    assert (told["ok"], told["code"], told["remedy"]) == (False, trouble.code, trouble.hint)


def test_trouble_with_one_machine_is_told_although_omni_is_connected(site: Site) -> None:
    site.health = replace(site.health, problem='the records of 1 machine: x is owned by "y"', code="owner-conflict")
    omni = site.get("/readyz").json["checks"]["omni"]
    assert (omni["ok"], omni["code"]) == (False, "owner-conflict")


def test_each_part_that_is_down_has_a_code_and_a_remedy(site: Site) -> None:
    site.health = replace(site.health, mirror_complete=False, watcher_alive=False, gateways=0)
    down = [found for found in site.get("/readyz").json["checks"].values() if not found["ok"]]
    assert [found["code"] for found in down] == ["mirror-incomplete", "no-watcher", "no-gateway"]
    assert all(found["remedy"] for found in down)


def test_no_gateway_is_told(site: Site) -> None:
    site.health = replace(site.health, gateways=0)
    answer = site.get("/readyz")
    assert answer.status_code == 200
    assert not answer.json["checks"]["gateways"]["ok"]


def test_redis_down_is_not_ready(site: Site) -> None:
    site.health = redis.ConnectionError("connection refused")
    answer = site.get("/readyz")
    assert answer.status_code == 503
    assert not answer.json["checks"]["redis"]["ok"]


def test_tls_that_cannot_be_had_is_told_and_else_not_mentioned(site: Site) -> None:
    assert "tls" not in site.get("/readyz").json["checks"]
    site.health = replace(site.health, tls_problem="the CA has expired")
    answer = site.get("/readyz")
    assert answer.status_code == 200
    found = answer.json["checks"]["tls"]
    assert (found["ok"], found["words"], found["required"], found["code"]) == (
        False,
        "the CA has expired",
        False,
        "tls",
    )

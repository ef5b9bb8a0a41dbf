"""What the watcher does about a machine, and what it leaves to the workers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest

from app.machine.model import OperationName, PowerState
from app.omni.kinds import Kind
from app.state.agents import agent_key
from app.state.attempts import Attempt
from app.state.connection import now_ms
from app.state.mirror import Mirror
from app.state.power import PowerNotes
from app.state.power_turns import PowerTurns
from app.state.secrets import sealer
from app.watcher import look as look_module
from app.watcher.look import Looker
from app.watcher.plan import Plan
from config.settings import Settings
from tests.unit.omni_in_memory import InMemoryOmni

MACHINE = "4c4c4544-0042-3510-8051-b4c04f573332"


class Site:
    """A watcher's surroundings; `sent` holds what was enqueued."""

    def __init__(self, settings: Settings) -> None:
        self.redis, self.omni = fakeredis.FakeRedis(), InMemoryOmni()
        self.mirror = Mirror(self.redis, sealer(settings))
        self.mirror.mark_complete(self.mirror.begin_build(), 0)
        self.looker = Looker(settings, self.redis, self.omni, self.mirror)  # type: ignore[arg-type]  # a fake
        self.settings = settings
        self.sent: list[str] = []

    def give(self, kind: Kind, **fields: Any) -> None:
        self.mirror.put(self.omni.give(kind, MACHINE, **fields))

    def agent(self) -> None:
        now = now_ms(self.redis)
        entry = {"gateway": "g", "address": "a", "tunnel": "", "number": now, "opened_ms": now, "hello_ms": now}
        self.redis.hset(agent_key(MACHINE), mapping=entry)

    def power_on_is_due(self, a_minute: int) -> None:
        """A machine in a cluster that is off, where so many may be powered on in a minute."""
        settings = replace(self.settings, max_power_ons_per_minute=a_minute)
        self.looker = Looker(settings, self.redis, self.omni, self.mirror)  # type: ignore[arg-type]  # a fake
        self.give(Kind.INFRA_MACHINE, acceptance_status=1, cluster_talos_version="1.13.7")
        self.give(Kind.WIPE_STATUS, initial_wipe_done=True)
        login = self.omni.update(
            Kind.BMC_CONFIGURATION, MACHINE, lambda d: setattr(d.spec.api, "address", "192.0.2.1:80"), create=True
        )
        self.mirror.put(login)
        PowerNotes(self.redis).observed({MACHINE: PowerState.OFF})
        self.redis.delete("om:wake")

    def look(self) -> bool:
        """Look until nothing changes any more; the answer is whether the first look found something."""
        found = False
        for _ in range(5):
            plan = self.plan()
            if self.looker.idle(plan):
                return found
            found = True
            self.looker.look(plan)
        return found

    def plan(self) -> Plan:
        (sight,) = self.looker.see([MACHINE])
        return self.looker.plan(sight)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    settings = Settings(
        omni_api_endpoint="http://192.0.2.9",
        api_advertise_address="192.0.2.8",
        state_dir=tmp_path,
        id="bare-metal",
        machine_labels={"rack": "r1"},
    )
    site = Site(settings)

    class Task:
        def __init__(self, name: str) -> None:
            self.name = name

        def apply_async(self, kwargs: dict[str, str], retry: bool, **_: object) -> SimpleNamespace:
            assert set(kwargs) == {"machine_id", "operation_id"} and not retry
            site.sent.append(self.name)
            return SimpleNamespace(id="task-1")

    tasks = {name: Task(name.value) for name in OperationName}
    monkeypatch.setattr("workers.enqueue.TASKS", tasks)
    return site


def test_pending_machine_gets_our_finalizer_and_nothing_else(site: Site) -> None:
    site.give(Kind.INFRA_MACHINE)
    site.look()
    assert site.omni.stored[Kind.INFRA_MACHINE, MACHINE].finalizers == ("bare-metal.MachineStatusController",)
    assert {kind for kind, _ in site.omni.stored} == {Kind.INFRA_MACHINE}
    assert site.sent == []


def test_agent_of_an_unknown_machine_makes_a_machine_status(site: Site) -> None:
    site.agent()
    site.look()
    assert site.omni.stored[Kind.MACHINE_STATUS, MACHINE].spec.agent_accessible
    assert site.sent == []


def test_accepted_machine_has_one_operation_enqueued_at_a_time(site: Site) -> None:
    site.agent()
    site.give(Kind.INFRA_MACHINE, acceptance_status=1)
    assert site.look()
    assert site.sent == ["configure_bmc"]
    assert not site.look() and site.sent == ["configure_bmc"]


def test_power_on_before_its_turn_is_not_enqueued_and_looked_at_again_when_it_comes(site: Site) -> None:
    site.power_on_is_due(a_minute=6)
    PowerTurns(site.redis, 6).take("4c4c4544-0042-3510-8051-000000000000")
    site.look()
    assert site.sent == []
    (entry,) = site.redis.zrange("om:wake", 0, -1, withscores=True)
    assert entry[0].decode() == MACHINE and 5_000 < entry[1] - now_ms(site.redis) <= 10_000


def test_power_on_whose_turn_it_is_is_enqueued(site: Site) -> None:
    site.power_on_is_due(a_minute=6)
    site.look()
    assert site.sent == ["power_on"]


def test_machine_with_a_lease_has_nothing_enqueued(site: Site) -> None:
    site.agent()
    site.give(Kind.INFRA_MACHINE, acceptance_status=1)
    look_module.Leases(site.redis).take(MACHINE, "wipe", "t1")
    site.look()
    assert site.sent == []


def test_nothing_is_enqueued_while_the_mirror_settles(site: Site) -> None:
    site.mirror.mark_complete(site.mirror.begin_build(), 30_000)
    site.agent()
    site.give(Kind.INFRA_MACHINE, acceptance_status=1)
    site.looker.look(site.plan())
    assert site.sent == []


def test_parked_operation_does_not_hold_up_the_others(site: Site) -> None:
    site.agent()
    site.give(Kind.INFRA_MACHINE, acceptance_status=1)
    site.looker.look(site.plan())
    cause = look_module.operation_id(MACHINE, site.plan().decision.operations[0])
    site.looker._attempts.store(MACHINE, Attempt("configure_bmc", cause, 5, 0, True, "E", "words", 1))
    site.looker._leases.unmark_queued(MACHINE)
    site.look()
    assert site.sent == ["configure_bmc", "wipe"]


def test_report_holds_labels_and_what_is_recorded(site: Site) -> None:
    site.give(Kind.INFRA_MACHINE, acceptance_status=1, node_unique_token="t")
    site.give(Kind.WIPE_STATUS, initial_wipe_done=True, wiped_node_unique_token="t")
    site.mirror.put(
        site.omni.update(
            Kind.INFRA_MACHINE, MACHINE, lambda d: d.labels.update({"omni.sidero.dev/cluster": "c", "x": "y"})
        )
    )
    site.mirror.put(
        site.omni.update(
            Kind.INFRA_MACHINE_STATUS,
            MACHINE,
            lambda d: d.labels.update({"omni.sidero.dev/infra-provider-id": "bare-metal", "old": "label"}),
            create=True,
        )
    )
    site.mirror.put(
        site.omni.update(
            Kind.BMC_CONFIGURATION, MACHINE, lambda d: setattr(d.spec.api, "address", "192.0.2.1:80"), create=True
        )
    )
    site.look()
    status = site.omni.stored[Kind.INFRA_MACHINE_STATUS, MACHINE]
    assert status.spec.ready_to_use and status.spec.wiped_node_unique_token == "t"
    wiped_s = site.omni.stored[Kind.WIPE_STATUS, MACHINE].updated_s
    assert status.labels == {
        "omni.sidero.dev/infra-provider-id": "bare-metal",
        "omni.sidero.dev/cluster": "c",
        "rack": "r1",
        "phase": "ready",
        "bmc-address": "192.0.2.1:80",
        "bmc-protocol": "api",
        "wiped-at": f"{datetime.fromtimestamp(wiped_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def test_lost_record_leaves_the_report_as_it_is_and_enqueues_nothing(site: Site) -> None:
    site.agent()
    site.give(Kind.INFRA_MACHINE, acceptance_status=1)
    site.give(Kind.INFRA_MACHINE_STATUS, ready_to_use=True)
    site.look()
    assert site.omni.stored[Kind.INFRA_MACHINE_STATUS, MACHINE].spec.ready_to_use
    assert site.sent == []


def test_power_off_request_is_acknowledged_by_the_watcher_itself(site: Site) -> None:
    site.give(Kind.INFRA_MACHINE, acceptance_status=1, power_off_request_id="p1", wipe_id="w1")
    site.give(Kind.WIPE_STATUS, initial_wipe_done=True, last_wipe_id="w1")
    site.give(Kind.MACHINE_STATUS)
    site.mirror.put(
        site.omni.update(
            Kind.BMC_CONFIGURATION, MACHINE, lambda d: setattr(d.spec.api, "address", "192.0.2.1:80"), create=True
        )
    )
    PowerNotes(site.redis).observed({MACHINE: PowerState.OFF})
    site.look()
    spec = site.omni.stored[Kind.POWER_OPERATION, MACHINE].spec
    assert (spec.last_power_off_id, spec.wipe_id_at_power_off) == ("p1", "w1")
    assert site.omni.stored[Kind.INFRA_MACHINE_STATUS, MACHINE].spec.last_power_off_id == "p1"
    assert site.sent == [] and look_module.Leases(site.redis).current(MACHINE) is None


def test_bmc_that_cannot_be_read_is_reported_unknown(site: Site) -> None:
    site.give(Kind.INFRA_MACHINE, acceptance_status=1)
    site.give(Kind.MACHINE_STATUS, power_state=2)
    PowerNotes(site.redis).observed({MACHINE: PowerState.UNKNOWN})
    site.look()
    assert site.omni.stored[Kind.MACHINE_STATUS, MACHINE].spec.power_state == PowerState.UNKNOWN


def test_emptied_redis_leaves_the_reported_power_as_it_is(site: Site) -> None:
    site.give(Kind.INFRA_MACHINE, acceptance_status=1)
    site.give(Kind.MACHINE_STATUS, power_state=2, agent_accessible=True)
    site.look()
    spec = site.omni.stored[Kind.MACHINE_STATUS, MACHINE].spec
    assert spec.power_state == PowerState.ON and spec.agent_accessible

"""A worker in a bottle: fakeredis, an Omni in memory, a gateway and BMCs that do as they are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from app.agents.client import PowerManagement, WipeTicket
from app.machine.model import Facts, PowerState
from app.omni.kinds import PICTURE_KINDS, Kind
from app.state.agents import agent_key
from app.state.connection import now_ms
from config.settings import Settings
from tests.unit.omni_in_memory import InMemoryOmni
from workers import services as worker_services
from workers.bmc.known import BmcKind, Known
from workers.services import Services, build

MACHINE = "4c4c4544-0042-3510-8051-b4c04f573332"


@dataclass
class FakeBmc:
    """A BMC that does as told: `fails` maps a verb to the error it raises."""

    on: bool = True
    log: list[str] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)
    deaf: bool = False
    arm_warning: str = ""
    known: Known = field(default_factory=lambda: Known(BmcKind.API))

    def _do(self, verb: str) -> None:
        self.log.append(verb)
        if verb in self.fails:
            raise self.fails[verb]

    def describe(self) -> Known:
        self._do("describe")
        return self.known

    def power_state(self) -> PowerState:
        self._do("status")
        return PowerState.ON if self.on else PowerState.OFF

    def power_on(self) -> None:
        self._do("on")
        self.on = self.on or not self.deaf

    def power_off(self) -> None:
        self._do("off")
        self.on = self.on and self.deaf

    def reboot(self) -> None:
        self._do("reboot")

    def arm_pxe(self, mode: str) -> str:
        self._do(f"pxe:{mode}")
        return self.arm_warning

    def close(self) -> None:
        self.log.append("close")

    @property
    def commands(self) -> list[str]:
        """What was commanded, reads left out."""
        return [v for v in self.log if v not in ("status", "describe", "close")]


@dataclass
class FakeGateway:
    """A gateway whose wipes end as `answer` says."""

    answer: Any = None
    wipes: list[WipeTicket] = field(default_factory=list)
    running: Any = False
    power: PowerManagement | None = None
    logins: list[tuple[str, str]] = field(default_factory=list)
    during_wipe: Any = None

    def wipe(self, machine_id: str, ticket: WipeTicket, *, zeroes: bool, timeout_s: float, fence: int) -> WipeTicket:
        self.wipes.append(ticket)
        if self.during_wipe:
            self.during_wipe()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or ticket

    def wipe_running(self, machine_id: str) -> bool:
        if isinstance(self.running, Exception):
            raise self.running
        return bool(self.running)

    def get_power_management(self, machine_id: str) -> PowerManagement:
        assert self.power is not None
        return self.power

    def set_power_management_ipmi(self, machine_id: str, username: str, password: str, fence: int) -> None:
        self.logins.append((username, password))

    def set_power_management_api(self, machine_id: str, fence: int) -> None:
        self.logins.append(("api", ""))


@dataclass
class Bottle:
    """The worker and its surroundings."""

    services: Services
    omni: InMemoryOmni
    gateway: FakeGateway
    bmc: FakeBmc

    def give(self, kind: Kind, **fields: Any) -> None:
        """Store a resource of the machine in Omni and in the mirror."""
        self.services.mirror.put(self.omni.give(kind, MACHINE, **fields))

    def accepted(self, **fields: Any) -> None:
        """An accepted machine with a BMC."""
        self.give(Kind.INFRA_MACHINE, acceptance_status=1, node_unique_token="token", **fields)
        self.give(Kind.MACHINE_STATUS, power_state=2)
        resource = self.omni.update(
            Kind.BMC_CONFIGURATION, MACHINE, lambda d: setattr(d.spec.api, "address", "192.0.2.1:80"), create=True
        )
        self.services.mirror.put(resource)

    def wiped(self, **fields: Any) -> None:
        """Its disks are wiped."""
        self.give(Kind.WIPE_STATUS, initial_wipe_done=True, wiped_node_unique_token="token", **fields)

    def agent(self) -> None:
        """Its agent answered just now."""
        now = now_ms(self.services.redis)
        entry = {"gateway": "g", "address": "a", "tunnel": "", "number": now, "opened_ms": now, "hello_ms": now}
        self.services.redis.hset(agent_key(MACHINE), mapping=entry)

    def no_agent(self) -> None:
        """We acted on it after its agent last answered."""
        self.services.redis.delete(agent_key(MACHINE))
        self.services.power_notes.acted(MACHINE)

    def spec(self, kind: Kind) -> Any:
        """A record of the machine as it stands in Omni."""
        return self.omni.stored[kind, MACHINE].spec

    def attempts(self) -> dict[str, Any]:
        """The failed attempts."""
        return self.services.attempts.of(MACHINE)

    def pause_ends(self) -> None:
        """The time has come to try again what has failed."""
        for attempt in self.attempts().values():
            due = replace(attempt, next_ms=min(attempt.next_ms, now_ms(self.services.redis)))
            self.services.attempts.store(MACHINE, due)

    def facts(self) -> Facts:
        """The facts now."""
        return self.services.mirror.load(MACHINE).facts


@pytest.fixture
def bottle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bottle]:
    """A worker whose mirror is complete."""
    settings = Settings(
        omni_api_endpoint="http://192.0.2.9", api_advertise_address="192.0.2.8", state_dir=tmp_path, id="bare-metal"
    )
    omni, gateway, bmc = InMemoryOmni(), FakeGateway(), FakeBmc()
    services = build(settings, fakeredis.FakeRedis(), omni, gateway)  # type: ignore[arg-type]  # fakes
    monkeypatch.setattr("workers.bmc.door.open_session", lambda *_, **__: bmc)
    services.mirror.mark_complete(services.mirror.begin_build(), 0)
    worker_services.use(services)
    assert len(PICTURE_KINDS) == 8
    yield Bottle(services, omni, gateway, bmc)
    worker_services.use(None)

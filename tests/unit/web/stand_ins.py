"""Stand-ins of the services of the web application: nothing connects to anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.boot.errors import BootError
from app.front.peer import name_for
from app.machine.boot import Schematic
from app.machine.decide import decide
from app.machine.model import (
    Acceptance,
    BmcConfiguration,
    DecideOptions,
    Facts,
    InfraMachine,
    Ipmi,
    Machine,
    MachineStatus,
    Meta,
    PowerState,
    WipeStatus,
)
from app.state.boots import Named
from app.state.health import Health
from app.state.history import HistoryEntry
from app.state.view import MachineView
from workers.enqueue import OrderResult

MACHINE_ID = "4c4c4544-0042-3010-8052-b4c04f4e3632"
OTHER_ID = "11111111-2222-3333-4444-555555555555"
PASSWORD = "bmc-password-in-the-picture"
NODE_TOKEN = "node-unique-token-in-the-picture"
JOIN_TOKEN = "join-token-in-the-configuration"
API_TOKEN = "the-api-token"
FACTORY_ID = "f" * 64
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def picture(machine_id: str = MACHINE_ID, **infra: Any) -> Machine:
    """A machine that is set up, wiped and idle; `infra` changes its InfraMachine."""
    wanted = {"acceptance_status": Acceptance.ACCEPTED, "wipe_id": "w1", "node_unique_token": NODE_TOKEN, **infra}
    meta = Meta(id=machine_id)
    return Machine(
        id=machine_id,
        now=NOW,
        facts=Facts(powered_on=True, agent_accessible=True),
        infra_machine=InfraMachine(meta=Meta(id=machine_id, labels={"rack": "r7"}), **wanted),
        bmc_configuration=BmcConfiguration(meta, ipmi=Ipmi("10.0.0.9", 623, "talos-agent", PASSWORD)),
        machine_status=MachineStatus(meta, agent_accessible=True, power_state=PowerState.ON, initialized=True),
        wipe_status=WipeStatus(meta, last_wipe_id="w1", initial_wipe_done=True, wiped_node_unique_token=NODE_TOKEN),
    )


@dataclass
class FakeMirror:
    machines: dict[str, Machine] = field(default_factory=dict)
    is_complete: bool = True
    join: str | None = f"kind: SideroLinkConfig\napiUrl: grpc://omni?jointoken={JOIN_TOKEN}\n"
    error: Exception | None = None
    authority: str | None = "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n"

    def complete(self) -> bool:
        return self.is_complete

    def load(self, machine_id: str) -> Machine:
        if self.error:
            raise self.error
        return self.machines.get(machine_id) or Machine(id=machine_id, now=NOW)

    def load_to_boot(self, machine_id: str) -> tuple[Machine, bool]:
        return self.load(machine_id), self.is_complete

    def join_config(self) -> str | None:
        return self.join

    def ca(self) -> str | None:
        return self.authority


@dataclass
class FakeBoots:
    noted: list[tuple[str, str | None]] = field(default_factory=list)
    asked: list[tuple[str, str | None, bool]] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    named: list[Named] = field(default_factory=list)
    allowed: bool = True

    def note(self, machine_id: str, address: str | None, decision: str, named: Named) -> None:
        self.named.append(named)
        self.noted.append((machine_id, address))
        self.count(decision)

    def count(self, decision: str) -> None:
        self.counted.append(decision)

    def config_allowed(self, machine_id: str, address: str | None, *, match_address: bool) -> bool:
        self.asked.append((machine_id, address, match_address))
        return self.allowed


@dataclass
class FakeFactory:
    asked: list[Schematic] = field(default_factory=list)
    error: BootError | None = None

    def schematic_id(self, schematic: Schematic) -> str:
        self.asked.append(schematic)
        if self.error:
            raise self.error
        return FACTORY_ID


@dataclass
class FakeRedis:
    counts: dict[str, int] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def incr(self, key: str) -> int:
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]

    def incrby(self, key: str, number: int) -> None:
        self.counts[key] = self.counts.get(key, 0) + number


@dataclass
class FakeViews:
    """Real decisions on the pictures of the mirror, with whatever else a test adds."""

    mirror: FakeMirror
    extras: dict[str, Any] = field(default_factory=dict)

    def one(self, machine_id: str) -> MachineView:
        machine = self.mirror.load(machine_id)
        decision = decide(machine, DecideOptions())
        plain = {"attempts": (), "lease": None, "queued": None, "phase": "ready", "sentence": "ready to use"}
        return MachineView(machine=machine, decision=decision, **{**plain, **self.extras.get(machine_id, {})})

    def all(self) -> list[MachineView]:
        return [self.one(machine_id) for machine_id in sorted(self.mirror.machines)]


@dataclass
class FakeHistory:
    entries: dict[str, list[HistoryEntry]] = field(default_factory=dict)

    def read(self, machine_id: str) -> list[HistoryEntry]:
        return self.entries.get(machine_id, [])


@dataclass
class Site:
    """The application with everything that a test looks at or changes."""

    mirror: FakeMirror
    boots: FakeBoots
    factory: FakeFactory
    redis: FakeRedis
    views: FakeViews
    history: FakeHistory
    client: FlaskClient
    ordered: list[tuple[str, str, str]] = field(default_factory=list)
    order_answer: OrderResult | Exception = field(default_factory=lambda: OrderResult(("wipe",), ""))
    health: Health | Exception = field(default_factory=lambda: Health(True, True, True, 1, ""))

    @property
    def peer(self) -> str:
        """How a client on this machine shows."""
        return name_for("127.0.0.1").decode()

    def get(self, path: str, address: str | None = "127.0.0.1", **headers: str) -> TestResponse:
        return self.ask("GET", path, address, **headers)

    def ask(self, method: str, path: str, address: str | None = "127.0.0.1", **headers: str) -> TestResponse:
        """A request as it comes through the splice from this address; None: with a name that holds none."""
        peer = name_for(address).decode() if address else ""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(path, method=method, headers=sent, environ_base={"REMOTE_ADDR": peer}, buffered=True)

    def boot(self, machine_id: str = MACHINE_ID, address: str = "10.0.0.7", **query: str) -> TestResponse:
        return self.get("/ipxe/boot.ipxe?" + urlencode({"uuid": machine_id, **query}), address)

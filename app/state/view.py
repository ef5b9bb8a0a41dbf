"""A machine as people look at it: its picture, what is decided on it, what runs, what failed, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from app.machine.decide import decide, operation_id
from app.machine.model import DecideOptions, Decision, Gate, Machine, OperationName, Phase
from app.machine.verbs import Offer, offers
from app.state.attempts import Attempt, attempts_key, parse_attempts
from app.state.bmc_notes import BmcFound, BmcTrouble
from app.state.deciding import decide_options, published_options
from app.state.facts import Notes, PowerRead, RefusedTunnel, old_power
from app.state.history import History, HistoryEntry, history_key, read_entry
from app.state.lease import Lease, lease_key, parse, queued_key
from app.state.mirror import Mirror
from app.state.secrets import Sealer
from app.state.sentence import sentence
from app.state.unended import unended_reboot
from app.state.waiting import waits_words
from config.settings import Settings

PHASES = (
    "parked",
    "record-lost",
    "wiping",
    "wipe-due",
    "bmc-setup",
    "installing",
    "in-cluster",
    "ready",
    "removing",
    "pending",
    "cordoned",
    "rejected",
    "unknown",
)
# Over a night and its morning; the log has it for longer.
REFUSED_SHOWN_MS = 86_400_000
_GATE_PHASES = {
    Gate.REJECTED: "rejected",
    Gate.NOT_ACCEPTED: "pending",
    Gate.CORDONED: "cordoned",
    Gate.RECORD_LOST: "record-lost",
}


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """The operation that runs now."""

    operation: str
    since: datetime
    task_id: str


@dataclass(frozen=True, slots=True)
class MachineView:
    """All that is shown of a machine.

    queued: the operation that waits for a worker. last: the last one that was tried. mac, serial: as its firmware says.
    bmc_found: what its BMC is. bmc_trouble: why its power is not known, where its BMC is to blame.
    power_read: what its BMC said last, where that is too old to count.
    refused_tunnel: a second tunnel that was not let in lately.
    waits: for which turn an operation waits, or "".
    unended_reboot: that nobody knows whether the reboot that Omni asks for was done, or "".
    """

    machine: Machine
    decision: Decision
    attempts: tuple[Attempt, ...]
    lease: LeaseInfo | None
    queued: str | None
    phase: str
    sentence: str
    last: HistoryEntry | None = None
    mac: str = ""
    serial: str = ""
    bmc_found: BmcFound | None = None
    bmc_trouble: BmcTrouble | None = None
    power_read: PowerRead | None = None
    refused_tunnel: RefusedTunnel | None = None
    waits: str = ""
    unended_reboot: str = ""


class Views:
    """Makes views."""

    def __init__(self, client: redis.Redis, sealer: Sealer, settings: Settings) -> None:
        self._redis = client
        self._mirror = Mirror(client, sealer)
        self._history = History(client)
        self._fallback = decide_options(settings)

    def one(self, machine_id: str) -> MachineView:
        """The view of one machine, known or not."""
        return self._views([machine_id])[0]

    def all(self) -> list[MachineView]:
        """The views of all machines, parked ones first."""
        views = self._views(self._mirror.machine_ids())
        return sorted(views, key=lambda view: (view.phase != "parked", view.machine.id))

    def _views(self, machine_ids: Sequence[str]) -> list[MachineView]:
        pictures = self._mirror.load_noted(machine_ids)
        options = published_options(self._redis, self._fallback)
        pipe = self._redis.pipeline(transaction=False)
        for machine_id in machine_ids:
            pipe.hgetall(attempts_key(machine_id))
            pipe.get(lease_key(machine_id))
            pipe.get(queued_key(machine_id))
            pipe.lindex(history_key(machine_id), 0)
        rows = pipe.execute()
        return [
            self._view(machine, notes, options, rows[4 * i : 4 * i + 4]) for i, (machine, notes) in enumerate(pictures)
        ]

    def _view(
        self,
        machine: Machine,
        notes: Notes,
        options: DecideOptions,
        row: list[Any],
    ) -> MachineView:
        fields, lease_text, queued, last = row
        decision = decide(machine, options)
        attempts = current_attempts(machine, decision, parse_attempts(fields))
        held = parse(machine.id, lease_text) if lease_text else None
        waiting = queued.decode() if queued else None
        trouble = bmc_trouble(machine, notes)
        wiping = held is not None and held.operation == OperationName.WIPE
        waits = "" if held or waiting else waits_words(machine, decision, notes.power_turn)
        return MachineView(
            machine=machine,
            decision=decision,
            attempts=attempts,
            lease=_info(held) if held else None,
            queued=waiting,
            phase=phase_of(machine, decision, attempts, wiping=wiping, trouble=trouble),
            sentence=waits or sentence(machine.id, decision, attempts, lease=held, queued=waiting, trouble=trouble),
            waits=waits,
            last=read_entry(last) if last else None,
            unended_reboot="" if held else unended_reboot(machine, self._newest_first(machine.id, last)),
            mac=notes.mac,
            serial=notes.serial,
            bmc_found=notes.bmc_found if machine.bmc_configuration else None,
            bmc_trouble=trouble,
            power_read=old_power(notes, int(machine.now.timestamp() * 1000)) if machine.bmc_configuration else None,
            refused_tunnel=refused_lately(notes, machine.now),
        )

    def _newest_first(self, machine_id: str, last: bytes | None) -> Iterator[HistoryEntry]:
        """The history from its newest entry on, which is at hand; the rest is asked for where that does not tell."""
        if last:
            yield read_entry(last)
            yield from self._history.read(machine_id)[1:]


def current_attempts(machine: Machine, decision: Decision, attempts: Mapping[str, Attempt]) -> tuple[Attempt, ...]:
    """The failed attempts that still say something: those whose cause has not changed since."""
    due = {o.name.value: operation_id(machine.id, o) for o in decision.operations}
    return tuple(a for name, a in sorted(attempts.items()) if due.get(name, a.operation_id) == a.operation_id)


def offered(view: MachineView) -> tuple[Offer, ...]:
    """What may be ordered now."""
    return offers(view.machine, view.decision, view.lease.operation if view.lease else "")


def bmc_trouble(machine: Machine, notes: Notes) -> BmcTrouble | None:
    """What its BMC says instead of the power state; None where the power is known, or there is no BMC any more."""
    missed = machine.bmc_configuration is not None and machine.facts.powered_on is None
    return notes.bmc_trouble if missed else None


def refused_lately(notes: Notes, now: datetime) -> RefusedTunnel | None:
    """The second tunnel that was refused last, for as long as a person may want to know."""
    refused = notes.refused_tunnel
    return refused if refused and now.timestamp() * 1000 - refused.at_ms < REFUSED_SHOWN_MS else None


def refused_words(refused: RefusedTunnel) -> str:
    """The sentence for a person about a second tunnel."""
    at = datetime.fromtimestamp(refused.at_ms / 1000, UTC)
    return f"A second tunnel from {refused.address or 'an unknown address'} was refused at {at:%Y-%m-%d %H:%M:%S} UTC"


def phase_of(
    machine: Machine,
    decision: Decision,
    attempts: Sequence[Attempt],
    *,
    wiping: bool,
    trouble: BmcTrouble | None = None,
) -> str:
    """One word for where the machine is in its life."""
    infra_machine = machine.infra_machine
    if infra_machine is None:
        return "unknown"
    if infra_machine.meta.phase is Phase.TEARING_DOWN:
        return "removing"
    if decision.gate is not None:
        return _GATE_PHASES[decision.gate]
    in_cluster = bool(infra_machine.cluster_talos_version)
    phases = {
        "parked": any(a.parked for a in attempts) or (trouble is not None and trouble.waits_for_a_person),
        "wiping": wiping,
        "wipe-due": decision.requires_wipe,
        "bmc-setup": machine.bmc_configuration is None,
        "in-cluster": in_cluster and decision.installed,
        "installing": in_cluster,
        "ready": True,
    }
    return next(name for name, holds in phases.items() if holds)


def _info(lease: Lease) -> LeaseInfo:
    return LeaseInfo(lease.operation, datetime.fromtimestamp(lease.since_ms / 1000, UTC), lease.task_id)

"""The shapes of the API's questions and answers.

Every field is named here, so nothing gets out because it was added to the model: no BMC password, no unique token
of a node. Times are RFC 3339.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import RAISE, Schema, fields

from app.machine.explain import decision_json
from app.machine.model import Decision, Machine
from app.state.attempts import Attempt
from app.state.sentence import made_again
from app.state.view import MachineView, offered
from app.web.search import labels


def _time(ms: int) -> str | None:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds") if ms else None


def _gate(decision: Decision) -> str | None:
    return decision.gate.value if decision.gate else None


def _acceptance(machine: Machine) -> str | None:
    return machine.infra_machine.acceptance_status.name.lower() if machine.infra_machine else None


def _talos_version(machine: Machine) -> str:
    return machine.infra_machine.cluster_talos_version if machine.infra_machine else ""


class AttemptSchema(Schema):
    """The failed attempts at an operation. `next_at` is null where the clock does not try again, or it is not due."""

    operation = fields.String()
    operation_id = fields.String()
    count = fields.Integer()
    parked = fields.Boolean()
    error = fields.String()
    words = fields.String()
    failed_at = fields.Function(lambda attempt: _time(attempt.failed_ms))
    next_at = fields.Function(lambda attempt: _time(attempt.next_ms))


def _attempt(view: MachineView, attempt: Attempt) -> dict[str, Any]:
    again = {} if made_again(view.machine.id, view.decision, attempt) else {"next_at": None}
    return {**AttemptSchema().dump(attempt), **again}


class LeaseSchema(Schema):
    """The operation that runs now."""

    operation = fields.String()
    task_id = fields.String()
    since = fields.DateTime(format="iso")


class HistorySchema(Schema):
    """An operation that was tried."""

    operation = fields.String()
    operation_id = fields.String()
    task_id = fields.String()
    attempt = fields.Integer()
    outcome = fields.String()
    words = fields.String()
    started_at = fields.Function(lambda entry: _time(entry.started_ms))
    ended_at = fields.Function(lambda entry: _time(entry.ended_ms))


class BmcTroubleSchema(Schema):
    """Why the power cannot be read.

    `error` is the class of the last of `failures` in a row. `next_at` is null where it is asked with the next sweep,
    or, if `refused`, waits for another login or a person.
    """

    since = fields.Function(lambda trouble: _time(trouble.since_ms))
    refused = fields.Boolean()
    error = fields.String()
    words = fields.String()
    hint = fields.String()
    failures = fields.Integer(attribute="count")
    next_at = fields.Function(lambda trouble: _time(trouble.next_ms))


class PowerReadSchema(Schema):
    """The last answer of a BMC, where it is too old for `powered_on`."""

    powered_on = fields.Boolean(attribute="on")
    at = fields.Function(lambda read: _time(read.at_ms))


class BmcFoundSchema(Schema):
    """What a BMC says that it is. `kind` is api, redfish or ipmi; `doubt` is for a person to look at."""

    kind = fields.String()
    system = fields.String()
    vendor = fields.String()
    model = fields.String()
    firmware = fields.String()
    doubt = fields.String()
    found_at = fields.Function(lambda found: _time(found.found_ms))


def _bmc(view: MachineView) -> dict[str, Any] | None:
    """Where the BMC is, what it is and who gave the login, never its password."""
    given = view.machine.bmc_configuration
    if given is None:
        return None
    ipmi = given.ipmi
    return {
        "manually_configured": given.manually_configured,
        "api_address": given.api_address,
        "ipmi": {"address": ipmi.address, "port": ipmi.port, "username": ipmi.username} if ipmi else None,
        "found": BmcFoundSchema().dump(view.bmc_found) if view.bmc_found else None,
    }


class RefusedTunnelSchema(Schema):
    """A second tunnel that was refused in the last 24 h. address: '' where it is not known."""

    at = fields.Function(lambda refused: _time(refused.at_ms))
    address = fields.String()


class MachineSchema(Schema):
    """A machine in the list."""

    id = fields.Function(lambda view: view.machine.id)
    phase = fields.String()
    sentence = fields.String()
    boot_mode = fields.Function(lambda view: view.decision.boot_mode.value)
    gate = fields.Function(lambda view: _gate(view.decision))
    acceptance = fields.Function(lambda view: _acceptance(view.machine))
    cordoned = fields.Function(lambda view: bool(view.machine.infra_machine and view.machine.infra_machine.cordoned))
    cluster_talos_version = fields.Function(lambda view: _talos_version(view.machine))
    powered_on = fields.Function(lambda view: view.machine.facts.powered_on)
    agent_accessible = fields.Function(lambda view: view.machine.facts.agent_accessible)
    ready_to_use = fields.Function(lambda view: view.decision.ready_to_use)
    running = fields.Function(lambda view: view.lease.operation if view.lease else None)
    queued = fields.String(allow_none=True)
    last = fields.Nested(HistorySchema, allow_none=True)
    mac = fields.String()
    serial = fields.String()
    power_read = fields.Nested(PowerReadSchema, allow_none=True)
    bmc_trouble = fields.Nested(BmcTroubleSchema, allow_none=True)
    refused_tunnel = fields.Nested(RefusedTunnelSchema, allow_none=True)
    waits = fields.String()
    unended_reboot = fields.String()
    parked = fields.Function(lambda view: [attempt.operation for attempt in view.attempts if attempt.parked])


class OfferSchema(Schema):
    """Whether a verb may be ordered now. `refusal` says why not."""

    verb = fields.String()
    legal = fields.Function(lambda offer: not offer.refusal)
    refusal = fields.String()


class MachineDetailSchema(MachineSchema):
    """One machine."""

    labels = fields.Function(lambda view: labels(view.machine))
    bmc = fields.Function(_bmc)
    decision = fields.Function(lambda view: decision_json(view.machine.id, view.decision))
    attempts = fields.Function(lambda view: [_attempt(view, attempt) for attempt in view.attempts])
    lease = fields.Nested(LeaseSchema, allow_none=True)
    verbs = fields.Function(lambda view: OfferSchema(many=True).dump(offered(view)))


class OrderSchema(Schema):
    """What came of an order."""

    started = fields.List(fields.String())
    skipped = fields.String()


class ListQuerySchema(Schema):
    """The filters of the list: the phase, and a text that the id or a label must hold."""

    class Meta:
        """An unknown filter is an error: it would silently show everything."""

        unknown = RAISE

    phase = fields.String(load_default="")
    q = fields.String(load_default="")

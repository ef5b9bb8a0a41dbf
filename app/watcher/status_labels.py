"""The labels by which Omni's machine pages show what a machine is at. None of them holds a secret.

Omni shows a label `phase` of our InfraMachineStatus as `omni.sidero.dev/infra-provider/ID/phase` (docs/omni.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from app.machine.model import Decision, Machine
from app.state.attempts import Attempt
from app.state.bmc_notes import BmcFound, BmcTrouble
from app.state.view import phase_of

STATUS_LABELS = frozenset({"bmc-address", "bmc-protocol", "phase", "last-error", "wiped-at"})
# What the value of a label may hold with most who read them.
LONGEST = 63


def facts_as_labels(
    machine: Machine,
    decision: Decision,
    attempts: Sequence[Attempt],
    *,
    wiping: bool,
    trouble: BmcTrouble | None = None,
    bmc_found: BmcFound | None = None,
) -> Mapping[str, str]:
    """The labels of a machine; one that has nothing to say is left out.

    attempts: the failed ones that still count.
    wiping: whether a wipe runs now.
    trouble: what its BMC says instead of the power state.
    bmc_found: what its BMC is.
    """
    found = {"phase": phase_of(machine, decision, attempts, wiping=wiping, trouble=trouble), **_bmc(machine, bmc_found)}
    if machine.wipe_status is not None and machine.wipe_status.initial_wipe_done and machine.wipe_status.meta.updated_s:
        found["wiped-at"] = f"{datetime.fromtimestamp(machine.wipe_status.meta.updated_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
    failed = next((a for a in attempts if a.parked), next(iter(attempts), None))
    if failed is not None:
        found["last-error"] = cut(f"{failed.operation}: {failed.words}")
    elif trouble is not None:
        found["last-error"] = cut(trouble.words)
    return {name: value for name, value in found.items() if value}


def _bmc(machine: Machine, found: BmcFound | None) -> dict[str, str]:
    configuration = machine.bmc_configuration
    if configuration is None:
        return {}
    if configuration.api_address:  # which is used, whatever else is given
        return {"bmc-address": cut(configuration.api_address), "bmc-protocol": "api"}
    if configuration.ipmi is None:
        return {}
    return {"bmc-address": cut(configuration.ipmi.address), "bmc-protocol": found.kind if found else "ipmi"}


def cut(words: str) -> str:
    """Printable ASCII on one line, of the length of a label."""
    line = " ".join("".join(c if " " <= c <= "~" else " " for c in words).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 3].rstrip() + "..."

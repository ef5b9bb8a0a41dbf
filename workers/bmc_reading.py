"""Read a BMC for a person, by hand only: does it take its login, and what is it? Nothing is changed on it.

A person who asks is a person who retries: a login that the BMC refused before is tried once more.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from app.agents.words import clean
from app.machine.model import BmcConfiguration, OperationName
from app.machine.sentences import shown
from config.celery import QUEUE_BMC
from config.settings import Settings
from workers.bmc.client import Bmc
from workers.bmc.known import BmcKind, Known
from workers.bmc.place import place_of
from workers.bmc.quirks import quirks_of
from workers.celery_app import app
from workers.operation import perform
from workers.turn import NotDue, Procedure, Turn


def try_login(turn: Turn) -> str:
    """Log in, read the power, and say what it is and how long that took."""
    login, began_s = _login(turn), time.monotonic()
    with _session(turn, login) as bmc:
        opened_s = time.monotonic()
        state = bmc.power_state()
        read_s = time.monotonic()
        known = bmc.describe()
    turn.services.power_notes.observed({turn.machine.id: state})
    user = f" takes the login of {shown(login.ipmi.username)}" if login.ipmi and known.kind is not BmcKind.API else ""
    took = f"session {opened_s - began_s:.2f} s, power {read_s - opened_s:.2f} s, {time.monotonic() - began_s:.2f} s"
    place = _place(login, known, turn.services.settings)
    return f"the BMC at {place}{user}: power {state.name}, {_words(known)}; it took {took} in all"


def ask_anew(turn: Turn) -> str:
    """Forget what is known of it, ask anew, and say what was found and which quirks are known of its like."""
    login = _login(turn)
    turn.services.bmcs.forget(turn.machine.id)
    with _session(turn, login) as bmc:
        known = bmc.describe()
    place = _place(login, known, turn.services.settings)
    rows = [f"{quirk.name}: {quirk.symptom}. {quirk.remedy} ({quirk.link})" for quirk in quirks_of(known)]
    quirks = f"Quirks: {'; '.join(rows)}" if rows else "No quirks of its like are known"
    return f"the BMC at {place}: {_words(known)}. {quirks}"


def _login(turn: Turn) -> BmcConfiguration:
    if turn.machine.bmc_configuration is None:
        raise NotDue("its BMC is not configured")
    return turn.machine.bmc_configuration


@contextlib.contextmanager
def _session(turn: Turn, login: BmcConfiguration) -> Iterator[Bmc]:
    turn.guard.check()
    bmc = turn.services.bmcs.open(turn.machine.id, login)
    try:
        yield bmc
    finally:
        bmc.close()


def _words(known: Known) -> str:
    """What it is, on one line; the BMC's own words are cut and cleaned."""
    said = clean(" ".join(filter(None, (known.vendor, known.model)))) or "of a vendor and model that it does not tell"
    parts = [
        f"spoken to by {known.kind.value}",
        said,
        known.firmware and f"firmware {clean(known.firmware)}",
        known.system and f"System {clean(known.system)}",
        known.doubt and f"but {clean(known.doubt)}",
    ]
    return ", ".join(filter(None, parts))


def _place(login: BmcConfiguration, known: Known, settings: Settings) -> str:
    if known.kind is BmcKind.REDFISH and login.ipmi is not None:
        address = login.ipmi.address
        return f"[{address}]:{settings.redfish_port}" if ":" in address else f"{address}:{settings.redfish_port}"
    return place_of(login)


BMC_TEST = Procedure(OperationName.BMC_TEST, try_login)
BMC_PROBE = Procedure(OperationName.BMC_PROBE, ask_anew)


@app.task(name="bmc_test", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def bmc_test(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Log in at the machine's BMC and read its power; nothing is changed."""
    return perform(self, BMC_TEST, machine_id, operation_id)


@app.task(name="bmc_probe", queue=QUEUE_BMC, bind=True)  # type: ignore[untyped-decorator]
def bmc_probe(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Ask the machine's BMC anew what it is; nothing is changed."""
    return perform(self, BMC_PROBE, machine_id, operation_id)

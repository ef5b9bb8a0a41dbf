"""Explain decisions offline: pictures of machines in, decisions with their reasons out, one line of JSON each.

Nothing else is read or written: no Redis, no Omni, no network. The form of both is in docs/explain.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, BinaryIO, Final, TextIO

from app.machine.decide import decide
from app.machine.errors import PictureInvalid
from app.machine.model import Decision, Operation, OperationName
from app.machine.picture_reader import read_picture
from app.machine.picture_writer import picture_json

__all__ = ["decision_json", "explain_line", "picture_json", "run"]

_ARMING: Final = frozenset({OperationName.POWER_ON, OperationName.REBOOT, OperationName.TEARDOWN})


def run(lines: Iterable[str], out: TextIO) -> int:
    """Answer each line; the answer is the exit status: 1 where a line was wrong."""
    status = 0
    for number, line in enumerate(_bytes_of(lines), start=1):
        if not line.strip():
            continue
        try:
            answer = explain_line(_text_of(line))
        except PictureInvalid as error:
            answer, status = {"error": str(error), "line": number}, 1
        out.write(json.dumps(answer) + "\n")
    return status


def explain_line(line: str) -> dict[str, Any]:
    """What is decided for the picture on this line. Raises PictureInvalid."""
    picture = read_picture(line)
    return decision_json(picture.id, decide(picture.machine, picture.options))


def decision_json(machine_id: str | None, decision: Decision) -> dict[str, Any]:
    """A decision as it is answered."""
    return {
        "id": machine_id,
        "boot_mode": decision.boot_mode.value,
        "installed": decision.installed,
        "requires_wipe": decision.requires_wipe,
        "requires_pxe": decision.requires_pxe,
        "requires_power_on": decision.requires_power_on,
        "power_off_active": decision.power_off_active,
        "ready_to_use": decision.ready_to_use,
        "gate": decision.gate.value if decision.gate else None,
        "operations": [_operation(operation) for operation in decision.operations],
        "wait_s": decision.wait_s,
        "reasons": list(decision.reasons),
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"name": operation.name.value}
    if operation.name in _ARMING:
        answer["pxe"] = operation.pxe
    if operation.name is OperationName.CONFIGURE_BMC:
        answer["source"] = operation.source
    return {**answer, "reason": operation.reason}


def _bytes_of(lines: Iterable[str]) -> Iterable[str | bytes]:
    """The bytes behind a text stream, so that a line that is no UTF-8 spoils only itself."""
    raw: BinaryIO | None = getattr(lines, "buffer", None)
    return lines if raw is None else iter(raw.readline, b"")


def _text_of(line: str | bytes) -> str:
    if isinstance(line, str):
        return line
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PictureInvalid(f"byte {error.start + 1} of the line is no UTF-8") from None

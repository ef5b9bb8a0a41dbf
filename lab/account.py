"""The account of a lab's run: what went how, for the summary, and what did not happen, for a person."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from lab.by_kind import by_kind, in_words, slowest_s
from lab.fetch import FetchError, fetch
from lab.product import Product
from lab.rack import Rack
from lab.story import Told

ASK_TIMEOUT_S: Final = 5.0  # the API answers in milliseconds, if it answers
MACHINES_NAMED: Final = 10
LINE_CHARS: Final = 400  # a line of the log with a traceback in it fills a terminal


@dataclass(slots=True)
class Account:
    """What is known of the run.

    error: what ended it, other than a step that did not come true.
    status: the provider's exit status, if it has ended.
    told: whether a person was told what went wrong.
    """

    began: float = field(default_factory=time.monotonic)
    startup_s: float = 0.0
    lives: list[list[Told]] = field(default_factory=list)
    error: str = ""
    status: int | None = None
    told: bool = False

    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def unfinished(self) -> Told | None:
        """The step that did not come true."""
        return next((told for life in self.lives for told in life if told.missing), None)

    def failed(self, rack: Rack) -> bool:
        """Whether anything went wrong."""
        return bool(self.error or self.unfinished() or rack.complaints())

    def summary(self, rack: Rack) -> dict[str, Any]:
        """Everything, for a program to read."""
        unfinished = self.unfinished()
        return {
            "ok": not self.failed(rack),
            "machines": len(rack.machines),
            "startup_s": round(self.startup_s, 2),
            "total_s": round(self.elapsed_s(), 2),
            "lives": [[_step(told, rack) for told in life] for life in self.lives],
            "missing": {"step": unfinished.step, "machines": unfinished.missing} if unfinished else None,
            "error": self.error or None,
            "complaints": rack.complaints(),
            "machine_counts": dict(sorted(rack.counts().items())),
            "bmc_calls": dict(sorted(rack.commands().items())),
            "bmc_kinds": {kind.value: told.summary() for kind, told in by_kind(rack.machines).items()},
            "factory_calls": dict(sorted(rack.factory.calls.items())),
        }


def _step(told: Told, rack: Rack) -> dict[str, Any]:
    slowest = {kind.value: round(took_s, 2) for kind, took_s in slowest_s(told, rack.machines).items()}
    return {"step": told.step, "took_s": round(told.took_s, 2), "slowest_s": slowest}


def tell_summary(account: Account, rack: Rack, out: TextIO) -> None:
    """Say how it went when all went well."""
    counts = rack.counts()
    lives = sum(not any(told.missing for told in life) for life in account.lives)
    print(f"the whole life of {len(rack.machines)} machines, {lives} times, in {account.elapsed_s():.1f} s", file=out)
    print(
        f"wipes: {counts['wipe done']} done, {counts['wipe failed']} failed, {counts['wipe cut short']} cut short",
        file=out,
    )
    for kind, told in by_kind(rack.machines).items():
        took_s = sum(slowest_s(step, rack.machines).get(kind, 0.0) for life in account.lives for step in life)
        print(f"{told.machines} {kind.value}: {took_s:.1f} s; asked for {in_words(told.calls)}", file=out)
        if told.faults.total():
            print(f"  wrong by the dice: {in_words(told.faults)}", file=out)


async def tell_failure(account: Account, rack: Rack, product: Product, out: TextIO) -> None:
    """Say what did not happen, what the provider says about those machines, and how its log ends."""
    account.told = True
    for complaint in rack.complaints():
        print(f"must never happen: {complaint}", file=out)
    unfinished = account.unfinished()
    if unfinished is not None:
        print(f"not in time: {unfinished.step}", file=out)
        for machine_id, words in list(unfinished.missing.items())[:MACHINES_NAMED]:
            print(f"  {machine_id}: {words}", file=out)
            print(f"    the provider: {await _ask(product, machine_id)}", file=out)
    if account.error:
        print(account.error, file=out)
    print(f"the end of {product.log_path}:", file=out)
    for line in product.last_lines():
        print(f"  {line[:LINE_CHARS]}", file=out)
    out.flush()


async def _ask(product: Product, machine_id: str) -> str:
    """What the API says about a machine, in a line."""
    try:
        answer = await fetch(f"{product.url}/api/v1/machines/{machine_id}", ASK_TIMEOUT_S)
    except FetchError as error:
        return str(error)
    try:
        said = json.loads(answer.body)
    except ValueError:
        return f"HTTP {answer.status}"
    if not isinstance(said, dict):
        return f"HTTP {answer.status}"
    wanted = ("phase", "sentence", "operation", "running", "queued", "attempts", "error", "message")
    told = {name: said[name] for name in wanted if said.get(name)}
    return json.dumps(told or said)[:1000]

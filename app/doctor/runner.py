"""Does checks side by side, each as soon as those that it needs are through, and none for longer than its limit.

A check that does not come back in time is left behind in its thread, which ends with the program: nothing that waits
for the network can be told to stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass

from app.doctor.finding import Finding, Report, Verdict, failed, skipped
from app.doctor.site import Site
from config.options import OPTIONS

# What a person waits for before they believe that the doctor hangs itself.
LIMIT_S = 30.0

Look = Callable[[Site], Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor.

    name: what it is called; look: looks, and says what it has found; limit_s: how long that may take.
    needs: the checks, earlier in the list, without which it makes no sense.
    options: those that it goes by; where one of them is wrong there is nothing to look at.
    """

    name: str
    look: Look
    limit_s: float
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def run_checks(checks: Sequence[Check], site: Site, limit_s: float = LIMIT_S) -> Iterator[Report]:
    """The report of each check, in their order, as soon as it and those before it are through.

    Args:
        checks: what to look at.
        site: where.
        limit_s: how long all of it may take, in seconds.
    """
    ends_s = time.monotonic() + limit_s
    futures: dict[str, Future[Report]] = {}
    for check in checks:
        future = futures[check.name] = Future()
        needed = {name: futures[name] for name in check.needs}
        _in_thread(check.name, _fulfil, future, check, site, needed)
    for check in checks:
        try:
            yield futures[check.name].result(max(0.0, ends_s - time.monotonic()))
        except NotInTime:
            words = f"not done within the {limit_s:g} s that all checks may take together"
            yield Report(check.name, (failed(words, "mend what has failed above, and ask again"),), limit_s)


def _fulfil(future: Future[Report], check: Check, site: Site, needed: Mapping[str, Future[Report]]) -> None:
    """Wait for what the check needs, do it, and give its report to whoever waits for that."""
    began_s = time.monotonic()
    reason = _not_to_be_done(check, site, {name: earlier.result() for name, earlier in needed.items()})
    if reason:
        future.set_result(Report(check.name, (skipped(reason),)))
        return
    began_s = time.monotonic()
    found: Future[tuple[Finding, ...]] = Future()
    _in_thread(f"{check.name} itself", _look, found, check, site)
    try:
        findings = found.result(check.limit_s)
    except NotInTime:
        remedy = "see whether what it asks is overloaded, and whether this host's name servers answer"
        findings = (failed(f"no answer within {check.limit_s:g} s", remedy),)
    future.set_result(Report(check.name, findings, time.monotonic() - began_s))


def _not_to_be_done(check: Check, site: Site, needed: Mapping[str, Report]) -> str:
    # A file of options that could not be read may have held any of them.
    for option in ("config", *check.options) if check.options else ():
        if option in site.wrong_options:
            return f"because {OPTIONS[option].flag} is wrong"
    for name, report in needed.items():
        if report.blocks:
            return f"because {name} failed"
        if report.verdict is Verdict.SKIPPED:
            return f"because {name} was skipped"
    return ""


def _look(found: Future[tuple[Finding, ...]], check: Check, site: Site) -> None:
    try:
        found.set_result(tuple(check.look(site)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other checks go on
        words = f"the check itself broke ({type(error).__name__})"
        found.set_result((failed(words, "this is a fault of this program: report it"),))


def _in_thread(name: str, target: Callable[..., None], *args: object) -> None:
    threading.Thread(target=target, name=f"check {name}", args=args, daemon=True).start()

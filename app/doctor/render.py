"""Shows reports: a line for each check with what is wrong indented below it, or the same as data.

No secret is shown: what errors quote is searched for them once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import click

from app.doctor.finding import Finding, Report, Verdict
from config.options import OPTIONS, Kind
from config.settings import Settings

HIDDEN: Final = "•••"
# A shorter one would be found in every other word. It stands in no text that we make ourselves.
SHORTEST_HIDDEN: Final = 4
COLOURS: Final = {
    Verdict.OK: "green",
    Verdict.SKIPPED: "bright_black",
    Verdict.WARNING: "yellow",
    Verdict.FAILED: "red",
}
VERDICT_WIDTH: Final = 9
INDENT: Final = " " * VERDICT_WIDTH


def lines(report: Report, name_width: int) -> Iterator[str]:
    """The lines of one check; verdicts are coloured, which click takes out where the output is no terminal."""
    single = len(report.findings) == 1
    fine = [finding.words for finding in report.findings if single or finding.verdict is Verdict.OK]
    yield f"{_coloured(report.verdict)}{report.check:<{name_width}}  {'; '.join(fine)}".rstrip()
    for finding in report.findings:
        if not single and finding.verdict is not Verdict.OK:
            several = "" if finding.verdict is report.verdict else f"{finding.verdict.value}: "
            yield f"{INDENT}{several}{finding.words}"
        if finding.remedy:
            yield f"{INDENT}→ {finding.remedy}"


def as_data(reports: Sequence[Report]) -> dict[str, Any]:
    """The reports for a program. `ok`: nothing has failed."""
    return {
        "ok": not any(report.verdict is Verdict.FAILED for report in reports),
        "checks": [
            {
                "check": report.check,
                "verdict": report.verdict.value,
                "took_s": round(report.took_s, 3),
                "findings": [
                    {"verdict": finding.verdict.value, "words": finding.words, "remedy": finding.remedy}
                    for finding in report.findings
                ],
            }
            for report in reports
        ],
    }


def without_secrets(settings: Settings) -> Callable[[Report], Report]:
    """A function that hides the secrets of these settings in a report."""
    secrets = sorted(_secrets(settings), key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def clean(finding: Finding) -> Finding:
        return replace(finding, words=hide(finding.words), remedy=hide(finding.remedy))

    return lambda report: replace(report, findings=tuple(map(clean, report.findings)))


def _secrets(settings: Settings) -> set[str]:
    found: set[str] = set()
    for option in OPTIONS.values():
        value = getattr(settings, option.attribute)
        if option.kind in (Kind.URL, Kind.OMNI_URL, Kind.REDIS_URL):
            found |= set(_login(str(value)))
        elif option.secret:
            found.add(str(value))
    return {secret for secret in found if len(secret) >= SHORTEST_HIDDEN}


def _login(url: str) -> Iterable[str]:
    """The login in a URL and its password, each as they stand there and as they are sent."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    password = login.partition(":")[2]
    return login, unquote(login), password, unquote(password), *parse_qs(parts.query).get("password", ())


def _coloured(verdict: Verdict) -> str:
    return click.style(f"{verdict.value:<{VERDICT_WIDTH}}", fg=COLOURS[verdict])

"""The command: read the settings, do the checks, show what they found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

from app.doctor.checks import CHECKS
from app.doctor.finding import Report, Verdict
from app.doctor.render import as_data, lines, without_secrets
from app.doctor.runner import Check, run_checks
from app.doctor.site import Site
from app.start_checks import problems_of_all
from config import logs
from config.settings import examine

NAME_WIDTH = 14


def run(
    argv: Sequence[str], environ: Mapping[str, str], *, as_json: bool = False, checks: Sequence[Check] = CHECKS
) -> int:
    """Do all checks and show them; return the exit status: 1 where one has failed.

    Args:
        argv: the options of the provider.
        environ: the environment.
        as_json: write one JSON object at the end instead of a line for each check.
        checks: what to look at.
    """
    settings, wrong = examine(argv, environ, further=problems_of_all)
    logs.configure(settings.debug, "command", quiet=True)
    clean = without_secrets(settings)
    site, reports = Site(settings, wrong), list[Report]()
    for report in map(clean, run_checks(checks, site)):
        reports.append(report)
        if not as_json:
            click.echo("\n".join(lines(report, NAME_WIDTH)))
    if as_json:
        click.echo(json.dumps(as_data(reports), indent=2))
    else:
        click.echo(_summary(reports))
    site.close()
    return 1 if any(report.verdict is Verdict.FAILED for report in reports) else 0


def _summary(reports: Sequence[Report]) -> str:
    found = [report.verdict for report in reports]
    failed, warned = found.count(Verdict.FAILED), found.count(Verdict.WARNING)
    skipped = found.count(Verdict.SKIPPED)
    if not failed + warned + skipped:
        return "\nAll is well."
    return f"\n{failed} failed, {warned} with a warning, {skipped} skipped, of {len(reports)} checks."

"""What a check finds: pure values, which render.py shows."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Verdict(enum.Enum):
    """How a thing stands. The values are what is shown, the worst last."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILED = "failed"

    @property
    def badness(self) -> int:
        """The higher the worse."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. words: how it stands; remedy: what to do about it, or ''.

    blocking: where it failed, checks that need this one make no sense.
    """

    verdict: Verdict
    words: str
    remedy: str = ""
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """All that one check has found, and how long that took."""

    check: str
    findings: tuple[Finding, ...]
    took_s: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return max((finding.verdict for finding in self.findings), key=lambda v: v.badness, default=Verdict.OK)

    @property
    def blocks(self) -> bool:
        """Whether something failed without which checks that need this one make no sense."""
        return any(finding.verdict is Verdict.FAILED and finding.blocking for finding in self.findings)


def ok(words: str) -> Finding:
    """It is as it should be."""
    return Finding(Verdict.OK, words)


def warning(words: str, remedy: str) -> Finding:
    """It works, and a person should know."""
    return Finding(Verdict.WARNING, words, remedy)


def failed(words: str, remedy: str, *, blocking: bool = True) -> Finding:
    """It keeps the provider, or a part of it, from working."""
    return Finding(Verdict.FAILED, words, remedy, blocking)


def skipped(words: str, remedy: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(Verdict.SKIPPED, words, remedy)


def failed_as_said(text: str) -> Finding:
    """A failure from `what is wrong; what to do about it`, as the program says it elsewhere."""
    words, _, remedy = text.partition("; ")
    return failed(words, remedy)


def while_starting(findings: Iterable[Finding]) -> list[Finding]:
    """What is found of processes while `omni-metal run` starts them: what is not there yet is no failure."""
    return [
        warning(f"{finding.words} (`omni-metal run` has just started)", "wait half a minute, and ask again")
        if finding.verdict is Verdict.FAILED
        else finding
        for finding in findings
    ]

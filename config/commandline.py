"""Read a command line by the rules of Go's flags: `--name value`, `--name=value`, `--switch`, `--switch=false`.

Imports next to nothing, because a worker has to look at its command line before anything else is loaded.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from config.options import OPTIONS, Kind


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What a command line says: options in their own words, words that are no option, and what is wrong with it."""

    given: dict[str, str]
    words: tuple[str, ...]
    problems: tuple[str, ...]


def parse_command_line(arguments: Sequence[str]) -> CommandLine:
    """Split a command line. The last of a repeated option counts; repeated labels add up."""
    given: dict[str, str] = {}
    words: list[str] = []
    problems: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            words += rest
            break
        if not argument.startswith("-") or argument == "-":
            words.append(argument)
            continue
        name, equals, value = argument.removeprefix("-").removeprefix("-").partition("=")
        problem = _option_problem(argument, name)
        if not problem and not equals:
            value, problem = _following_value(name, rest)
        if problem:
            problems.append(problem)
        else:
            given[name] = f"{given[name]},{value}" if name in given and _adds_up(name) else value
    return CommandLine(given, tuple(words), tuple(problems))


def secrets_apart(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Split the options for a child process, whose command line everybody on this machine can read.

    Args:
        arguments: options without a problem, and no other words.

    Returns:
        The options that may be read, and the secret ones as environment variables.
    """
    given = parse_command_line(arguments).given
    secret = {name for name, value in given.items() if value and OPTIONS[name].secret}
    options = [f"--{name}={value}" for name, value in given.items() if name not in secret]
    return options, {OPTIONS[name].variable: given[name] for name in secret}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the known name that is nearest, or nothing."""
    near = difflib.get_close_matches(name.lower().replace("_", "-"), list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _option_problem(argument: str, name: str) -> str:
    if not argument.startswith("--"):
        return f"{argument.partition('=')[0]} (command line): no such option; options begin with two dashes"
    option = OPTIONS.get(name)
    if option is None:
        flags = {other: f"--{other}" for other, known in OPTIONS.items() if not known.environment_only}
        hint = did_you_mean(name, flags).replace("mean ", "mean --")
        return f"--{name} (command line): no such option{hint or '; see omni-metal --help'}"
    if option.environment_only:
        return f"--{name} (command line): set {option.variable} in the environment instead, command lines are public"
    return ""


def _following_value(name: str, rest: list[str]) -> tuple[str, str]:
    if OPTIONS[name].kind is Kind.SWITCH:
        return "true", ""
    if not rest or rest[0].startswith("--"):
        return "", f"--{name} (command line): needs a value, as in --{name}=VALUE"
    return rest.pop(0), ""


def _adds_up(name: str) -> bool:
    return OPTIONS[name].kind is Kind.LABELS

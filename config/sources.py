"""Gather what the operator set: the command line beats the environment, which beats the YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from config.commandline import CommandLine, did_you_mean
from config.options import ENVIRONMENT_PREFIX, OPTIONS, Option

# An unknown variable this much like an option's is taken for a slip; Kubernetes puts OMNI_METAL_PORT and the like
# into the environment of every container beside a service of that name, and those must pass.
LIKENESS_OF_A_SLIP: Final = 0.85


@dataclass(frozen=True, slots=True)
class Given:
    """One value that the operator set, and where."""

    value: object
    place: str


@dataclass(frozen=True, slots=True)
class Sources:
    """All that the operator set, by option name, and what is wrong with the places themselves.

    file_problem: why nothing could be read from the file of `--config`, or ''.
    """

    given: dict[str, Given]
    problems: tuple[str, ...]
    file_problem: str = ""


class _FileUnread(Exception):
    """Nothing can be read from the file; the text says why and what to do."""


def gather(line: CommandLine, environ: Mapping[str, str]) -> Sources:
    """Merge the three places."""
    problems = list(line.problems)
    given = {name: Given(value, "command line") for name, value in line.given.items()}
    for name, option in OPTIONS.items():
        value = environ.get(option.variable, "")
        if value:
            given.setdefault(name, Given(value, f"environment {option.variable}"))
    problems += _slips(environ)
    if not ("config" in given and given["config"].value):
        return Sources(given, tuple(problems))
    try:
        of_file, file_problems = _read_file(Path(str(given["config"].value)).expanduser(), given["config"].place)
    except _FileUnread as error:
        return Sources(given, tuple(problems), str(error))
    return Sources(of_file | given, (*problems, *file_problems))


def _slips(environ: Mapping[str, str]) -> list[str]:
    known = {option.variable for option in OPTIONS.values()}
    names = {variable.removeprefix(ENVIRONMENT_PREFIX): variable for variable in known}
    problems = []
    for variable in sorted(environ.keys() - known):
        if variable.startswith(ENVIRONMENT_PREFIX):
            name = variable.removeprefix(ENVIRONMENT_PREFIX)
            near = difflib.get_close_matches(name, names, n=1, cutoff=LIKENESS_OF_A_SLIP)
            problems += [f"{variable} (environment): no such option; did you mean {names[found]}?" for found in near]
    return problems


def _read_file(path: Path, place: str) -> tuple[dict[str, Given], list[str]]:
    about = f"--config {path} ({place})"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _FileUnread(f"{about}: cannot be read, {error.strerror}; name a YAML file that can be") from None
    except UnicodeDecodeError:
        raise _FileUnread(f"{about}: is not UTF-8 text; name a YAML file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise _FileUnread(f"{about}: is not YAML{line}; write one `option: value` a line") from None
    if content is None:
        return {}, []
    if not isinstance(content, Mapping):
        raise _FileUnread(f"{about}: must hold one `option: value` a line")
    return _read_keys(path.name, content)


def _read_keys(file: str, content: Mapping[object, object]) -> tuple[dict[str, Given], list[str]]:
    given: dict[str, Given] = {}
    problems: list[str] = []
    for key, value in content.items():
        name = str(key)
        option = OPTIONS.get(name)
        problem = _key_problem(name, option)
        if problem:
            problems.append(f"{file}:{name}: {problem}")
        elif value is not None:
            given[name] = Given(value, f"{file}:{name}")
    return given, problems


def _key_problem(name: str, option: Option | None) -> str:
    if option is None:
        return f"no such option{did_you_mean(name, OPTIONS)}"
    if option.environment_only:
        return f"set {option.variable} in the environment instead"
    if name == "config":
        return "a file cannot name another file; take the line out"
    return ""

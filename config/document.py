"""Write docs/options.md from the table of options: `python -m config.document`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from config.options import GROUPS, Group, Kind, Option

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "options.md"
HEAD: Final = """\
# Options

Written by `make docs` from config/options.py; a test compares.

Every option can be given in three places: on the command line, in the environment, and as a key (its name without
the dashes) of a YAML file that `--config` names. The command line beats the environment beats the file; an empty
environment variable counts as not set. Durations are written as in Go: `15m`, `24h`, `1h30m`. A switch is set by its
name alone or by `--name=false`.

All options are checked together before anything is started. Whatever is wrong is named in one message, with its
place and its remedy, and the exit status is 2.
"""
COLUMNS: Final = ("| option | environment | kind | default | meaning |", "| --- | --- | --- | --- | --- |")
FOOT: Final = """\
`omni-metal machines` and `omni-metal retry` take the same options. They need neither Omni nor an address, and find
the Redis of `omni-metal run` by `--state-dir` unless `--redis-url` is given.
"""


def render() -> str:
    """Return the text of the page."""
    return "\n".join([HEAD, *(_section(group) for group in GROUPS), FOOT])


def _section(group: Group) -> str:
    return "\n".join([f"## {group.title}", "", *COLUMNS, *(_row(option) for option in group.options), ""])


def _row(option: Option) -> str:
    name = "environment only" if option.environment_only else f"`--{option.name}`"
    kind = ", ".join(f"`{choice}`" for choice in option.choices) or option.kind.value
    default = option.default_help or (f"`{option.default}`" if option.default else "none")
    if option.minimum and option.kind is not Kind.CHOICE:
        kind = f"{kind}, at least {option.minimum}"
    if option.maximum:
        kind = f"{kind}, at most {option.maximum}"
    return f"| {name} | `{option.variable}` | {kind} | {default} | {option.help} |"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(render(), encoding="utf-8")

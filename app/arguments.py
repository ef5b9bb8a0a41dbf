"""What stands on a command line beside the options of the table: words, and how long to wait.

Imports next to nothing, because a worker has to look at its command line before anything else is loaded.
"""

from __future__ import annotations

import sys
from typing import Final, NoReturn

import click

from config.commandline import parse_command_line
from config.durations import parse_duration

WRONG_USAGE: Final = 2
MACHINE_WORD: Final = "a machine id"
_WAIT_HELP: Final = "How long to wait for the end of what was started; 0 = not."
WAIT: Final = click.option("--wait", default="10s", show_default=True, help=_WAIT_HELP)
# A BMC that does not answer is given up after half a minute by the slowest of the ways to speak with it.
BMC_WAIT: Final = click.option("--wait", default="45s", show_default=True, help=_WAIT_HELP)


def split_words(arguments: tuple[str, ...], *wanted: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take the words that are no options off the arguments: as many as are wanted."""
    line = parse_command_line(arguments)
    if len(line.words) != len(wanted):
        found = f"found {' '.join(line.words)}" if line.words else "found nothing"
        refuse(f"name {' and '.join(wanted)} and nothing else beside the options; {found}")
    if not line.problems:
        return line.words, tuple(f"--{name}={value}" for name, value in line.given.items())
    rest = list(arguments)  # what is wrong with the others is said where they are read
    for word in line.words:
        rest.remove(word)
    return line.words, tuple(rest)


def wait_seconds(text: str) -> float:
    """Read the value of --wait."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        refuse(f"--wait={text}: {error}; write 10s or 5m")
    if seconds < 0:
        refuse(f"--wait={text}: must not be negative; 0 does not wait")
    return seconds


def refuse(message: str) -> NoReturn:
    """Say what is wrong, and end with the status of wrong usage."""
    click.echo(f"omni-metal: {message}", err=True)
    sys.exit(WRONG_USAGE)

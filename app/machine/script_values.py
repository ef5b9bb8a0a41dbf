"""What may stand in a boot script: values from outside are refused where they could add a command.

iPXE reads a script line by line, joins a line that ends in a backslash with the next, splits each at white space,
takes `||`, `&&` and `;` for joints between commands and `#` for the start of a comment, and fills in `${…}`.
"""

from __future__ import annotations

import re

from app.machine.errors import ScriptRefused

_PRINTABLE = re.compile(r"[\x21-\x7e]*")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]*")
_JOINTS = ("||", "&&", ";")
# Enough to find the value again in Omni.
_LONGEST_SHOWN = 80


def checked_word(value: str, what: str, machine_id: str) -> str:
    """One word of a command. Raises ScriptRefused."""
    if not _PRINTABLE.fullmatch(value):
        raise _refused(value, what, machine_id, "it holds a character that is not printable ASCII, or white space")
    if "${" in value:
        raise _refused(value, what, machine_id, "iPXE would fill in ${…}")
    if value in _JOINTS or value.startswith("#"):
        raise _refused(value, what, machine_id, "iPXE would end the command there")
    if value.endswith("\\"):
        raise _refused(value, what, machine_id, "iPXE would go on with the next line")
    return value


def checked_line(value: str, what: str, machine_id: str) -> tuple[str, ...]:
    """The words of one line, which may end in a line end. Raises ScriptRefused."""
    line = value.removesuffix("\n").removesuffix("\r")
    if "\n" in line or "\r" in line:
        raise _refused(value, what, machine_id, "it has more than one line")
    return tuple(checked_word(word, what, machine_id) for word in re.split(r"[ \t]+", line) if word)


def checked_name(value: str, what: str, machine_id: str) -> str:
    """One part of a path in a URL, such as a version or an id. Raises ScriptRefused."""
    if not _NAME.fullmatch(value):
        raise _refused(value, what, machine_id, "only letters, digits and . _ + - may stand in it")
    return value


def _refused(value: str, what: str, machine_id: str, why: str) -> ScriptRefused:
    whose = f"of machine {_shown(machine_id)}" if machine_id else "of the settings"
    return ScriptRefused(f"{what} {_shown(value)} {whose} may not stand in a boot script: {why}")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "...")

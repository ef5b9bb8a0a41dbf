"""What can go wrong in the pure core, named by what the caller can do about it."""

from __future__ import annotations


class MachineError(Exception):
    """Base of the errors of this package."""


class ScriptRefused(MachineError):
    """A value would add a command to a boot script. The text names the value and the machine, for the log."""


class PictureInvalid(MachineError):
    """A picture handed to `explain` is not one. The text says what is wrong and where."""

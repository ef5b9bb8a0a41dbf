"""What can go wrong while a boot is prepared, named by what the caller can do about it."""

from __future__ import annotations


class BootError(Exception):
    """A boot could not be prepared. The text is fit for the console of the machine.

    retry_after_s: seconds after which asking again makes sense; None where it will not help.
    """

    retry_after_s: int | None = None


class FactoryUnavailable(BootError):
    """The image factory did not answer, or answered that it cannot now. The next boot asks it again."""

    retry_after_s = 5


class FactoryRefused(BootError):
    """The image factory understood and refused, or answered what no image factory answers. A person must look."""


class AssetsMissing(BootError):
    """The folder of local boot assets has not what this machine boots. A person must put it there."""


class ConfigNotReady(BootError):
    """The machine configuration has not been read from Omni yet."""

    retry_after_s = 5

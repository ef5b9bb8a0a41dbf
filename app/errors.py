"""What keeps the program from starting, in words for the person who started it."""

from __future__ import annotations


class StartError(Exception):
    """The program cannot start; the text says why and what to do about it."""

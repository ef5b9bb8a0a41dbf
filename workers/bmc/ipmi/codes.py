"""What a BMC says no with, and what that means for the caller."""

from __future__ import annotations

from typing import Final

from pyghmi.ipmi.private.constants import ipmi_completion_codes

from workers.bmc.errors import (
    BmcAuthenticationFailed,
    BmcBusy,
    BmcError,
    BmcLoginUnusable,
    BmcRefused,
    BmcUnsupported,
)
from workers.bmc.ipmi.login import LoginRefused

# The most that packets have room for. Older BMCs keep 16 bytes of a password, whatever was set.
LONGEST_USER, LONGEST_PASSWORD, LONGEST_OLD_PASSWORD = 16, 20, 16

# RMCP+ status codes, of the specification's table 13-15.
_NO_SLOT: Final = frozenset({0x01, 0x0B})
_NOT_LET_IN: Final = frozenset({0x09, 0x0A, 0x0C, 0x0D, 0x0E, 0x0F})
_BAD_PROOF: Final = 0x0F
_NO_SUITE: Final = frozenset({0x04, 0x05, 0x06, 0x07, 0x10, 0x11})

# Completion codes, of the specification's table 5-2.
NODE_BUSY, INVALID_COMMAND, INVALID_DATA, NOT_IN_THIS_STATE = 0xC0, 0xC1, 0xCC, 0xD5
_PARAMETER_UNKNOWN: Final = 0x80  # of boot options
_NO_PRIVILEGE: Final = 0xD4
# Of Set Session Privilege Level: that level is not this user's, or more than the user or the channel may have.
_LEVEL_DENIED: Final = frozenset({0x80, 0x81, _NO_PRIVILEGE})
_BUSY: Final = frozenset({NODE_BUSY, 0xD0, 0xD1, 0xD2})
_UNSUPPORTED: Final = frozenset(
    {_PARAMETER_UNKNOWN, INVALID_COMMAND, 0xC2, 0xC9, INVALID_DATA, 0xCD, NOT_IN_THIS_STATE, 0xD6}
)
# Time ran out, the answer got lost inside the BMC, a duplicate, and no reason at all: it may have been done.
_MAY_BE_DONE: Final = frozenset({0xC3, 0xCE, 0xCF, 0xFF})
_REFUSED: Final = frozenset(range(0xC0, 0xD7)) - _MAY_BE_DONE


def checked_login(username: str, password: str) -> tuple[bytes, bytes]:
    """The login as bytes: pyghmi does not bear text twice, and nobody checks its length. Raises BmcLoginUnusable."""
    user, secret = username.encode(), password.encode()
    if len(user) > LONGEST_USER:
        raise BmcLoginUnusable(f"the user {username[:40]!r} has {len(user)} bytes", executed=False)
    if len(secret) > LONGEST_PASSWORD:
        raise BmcLoginUnusable(f"the password has {len(secret)} bytes", executed=False)
    return user, secret


def login_error(place: str, refused: LoginRefused, password_bytes: int) -> BmcError:
    """The error of a login that was refused."""
    if refused.wrong_password or refused.status == _BAD_PROOF:
        words = f"the BMC at {place} has another password"
        if password_bytes > LONGEST_OLD_PASSWORD:
            words += f" (ours has {password_bytes} bytes, and older BMCs keep no more than {LONGEST_OLD_PASSWORD})"
        return BmcAuthenticationFailed(words, executed=False)
    if refused.status in _NO_SLOT:
        return BmcBusy(f"the BMC at {place} has no session left; they end by themselves after a minute", executed=False)
    words = f"the BMC at {place} refuses the login: {refused}"
    if refused.status in _NOT_LET_IN:
        return BmcAuthenticationFailed(words, executed=False)
    if refused.status in _NO_SUITE:
        return BmcUnsupported(f"{words} (cipher suites 17 and 3 are spoken here)", executed=False)
    if refused.status == 0:
        return BmcUnsupported(f"{words}: has it a BMC key (Kg)? That is not supported", executed=False)
    return BmcRefused(words, executed=False)


def privilege_error(place: str, code: int) -> BmcError:
    """The error of a session that gets no privilege: it is not the user's, or the BMC has a fault that passes."""
    if code not in _LEVEL_DENIED:
        return completion_error(place, "the login", code)
    words = f"the BMC at {place} grants the user no operator's privilege ({_said(code)})"
    return BmcAuthenticationFailed(words, executed=False)


def completion_error(place: str, what: str, code: int, *, command: bool = False) -> BmcError:
    """The error of a completion code other than 0.

    Args:
        place: the BMC, for people.
        what: what was asked for.
        code: the completion code.
        command: whether it was a command, of which it counts whether it was carried out.
    """
    executed = None if command and code not in _REFUSED | _UNSUPPORTED else False
    words = f"the BMC at {place} answered {what} with {_said(code)}"
    if code in _BUSY:
        return BmcBusy(words, executed=executed)
    if code == _NO_PRIVILEGE:
        return BmcUnsupported(f"{words}: give its user the operator's privilege", executed=executed)
    if code in _UNSUPPORTED:
        return BmcUnsupported(words, executed=executed)
    return BmcRefused(words, executed=executed)


def _said(code: int) -> str:
    return f"{code:#04x} ({ipmi_completion_codes.get(code, 'a code of its own')})"

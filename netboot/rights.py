"""Gives up all rights for good.

    user = user_named(settings.netboot_user)
    …                                       # open ports, read files
    drop_rights(user)

Nothing that comes from the network is looked at before. The way back is closed: the user ids are all changed, no
capability is left, and no program that is started from here gets any (no_new_privs).
"""

from __future__ import annotations

import ctypes
import os
import pwd
from dataclasses import dataclass
from typing import Final

from app.ambient import PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL
from app.errors import StartError
from app.lifeline import lifeline_kept

PR_SET_NO_NEW_PRIVS: Final = 38
# The form of capset's arguments that all kernels since 2.6.26 know: two words of 32 bits for each set.
CAPABILITY_VERSION: Final = 0x20080522
ROOT: Final = 0
OPTION: Final = "--netboot-user"

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@dataclass(frozen=True, slots=True)
class User:
    """Whom to become."""

    name: str
    uid: int
    gid: int


def user_named(name: str) -> User:
    """The user of this name.

    Raises:
        StartError: there is none, or it is root.
    """
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):  # a name with a zero byte
        raise StartError(f"{OPTION}: there is no user {name!r} on this host; name one that has no rights") from None
    if entry.pw_uid == ROOT:
        raise StartError(f"{OPTION}: {name} keeps all rights; name a user that has none, such as nobody")
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def drop_rights(user: User | None) -> None:
    """Become the user, and give up all capabilities.

    Args:
        user: whom to become; None where we are no root, and stay who we are.

    Raises:
        StartError: the system does not let us, or something is left afterwards.
    """
    try:
        with lifeline_kept():
            if user is not None:
                _become(user)
            _drop_capabilities()
            _prctl(PR_SET_NO_NEW_PRIVS, 1)
    except OSError as error:
        whom = user.name if user else "a process without rights"
        remedy = "give it CAP_SETUID and CAP_SETGID, or start it as another user, with CAP_NET_BIND_SERVICE"
        raise StartError(f"DHCP proxy and TFTP cannot become {whom} ({error.strerror}); {remedy}") from None
    _make_sure(user)


def _drop_capabilities() -> None:
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header, none = _Header(CAPABILITY_VERSION, 0), (_Sets * 2)()
    _check(_libc.capset(ctypes.byref(header), none))


def capabilities() -> int:
    """The capabilities that this process has or could take, as a set of bits. Raises OSError."""
    header, sets = _Header(CAPABILITY_VERSION, 0), (_Sets * 2)()
    _check(_libc.capget(ctypes.byref(header), sets))
    low, high = (half.effective | half.permitted | half.inheritable for half in sets)
    return int(low | high << 32)


def _become(user: User) -> None:
    os.setgroups([])
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def _make_sure(user: User | None) -> None:
    left = []
    if user is not None and (set(os.getresuid()), set(os.getresgid())) != ({user.uid}, {user.gid}):
        left.append(f"user ids {os.getresuid()}, group ids {os.getresgid()}")
    if user is not None and os.getgroups():
        left.append(f"groups {os.getgroups()}")
    if capabilities():
        left.append(f"capabilities {capabilities():#x}")
    if user is not None and _is_root_again():
        left.append("the way back to root")
    if left:
        raise StartError(f"DHCP proxy and TFTP still have {', '.join(left)} after giving up their rights; report this")


def _is_root_again() -> bool:
    try:
        os.setuid(ROOT)
    except PermissionError:
        return False
    return True


def _prctl(operation: int, argument: int) -> None:
    _check(_libc.prctl(operation, argument, 0, 0, 0))


def _check(status: int) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

"""Which error a status of Omni is, by method, code and words: Omni sends no more than these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import grpc

from app.omni import errors
from app.omni.errors import OmniError, clean
from app.omni.handshake import handshake_words

_CODE = grpc.StatusCode
_RETRY: Final = frozenset(
    {
        _CODE.UNAVAILABLE,
        _CODE.DEADLINE_EXCEEDED,
        _CODE.CANCELLED,
        _CODE.RESOURCE_EXHAUSTED,
        _CODE.ABORTED,
        _CODE.INTERNAL,
    }
)
_BY_CODE: Final[dict[grpc.StatusCode, type[OmniError]]] = {
    _CODE.NOT_FOUND: errors.NotFound,
    _CODE.ALREADY_EXISTS: errors.AlreadyExists,
    _CODE.UNAUTHENTICATED: errors.NotAuthenticated,
    _CODE.UNIMPLEMENTED: errors.NotOmni,  # Omni has all methods that we call
}
# What FAILED_PRECONDITION means where its words do not speak of the EULA. A watch of ours takes no bookmark that could
# be wrong, and reading has no conditions but that one.
_PRECONDITION: Final[dict[str, type[OmniError]]] = {
    "Create": errors.InvalidRequest,
    "Update": errors.Conflict,
    "Destroy": errors.PendingFinalizers,
    "Teardown": errors.PendingFinalizers,
}
# What is UNKNOWN and passes: a shutdown, and Omni's store that chooses another leader or is slow.
_PASSING: Final = ("stream removed", "etcdserver: ")
_READING: Final = ("Get", "List", "Watch")
_EULA: Final = ("eula", "license agreement", "licence agreement")
_ROLE: Final = ("insufficient role", "no access is permitted", "not allowed")
# How grpc words an HTTP answer that is none of gRPC, and an answer that is not even of HTTP/2.
_NO_GRPC: Final = "http2 header with status"
_NO_HTTP2: Final = ("failed parsing http/2", "http1.x server")


def error_for(method: str, code: grpc.StatusCode, details: str, subject: str = "") -> OmniError:
    """The error that a status means.

    Args:
        method: without its service, as `Get`.
        code: of the status.
        details: its text.
        subject: what the call was about, for a person.
    """
    refused = handshake_words(details) if code is _CODE.UNAVAILABLE else ""
    if refused:
        return errors.CertificateRefused(method, subject, f"Omni is not trusted: {refused}")
    words = clean(details) or code.name
    return _class_for(method, code, words.lower())(method, subject, words)


def _class_for(method: str, code: grpc.StatusCode, words: str) -> type[OmniError]:
    if code in _RETRY:
        return errors.NotOmni if any(mark in words for mark in _NO_HTTP2) else errors.OmniUnavailable
    if _NO_GRPC in words:
        return errors.NotOmni
    if code in _BY_WORDS:
        return _BY_WORDS[code](method, words)
    return _BY_CODE.get(code, errors.InvalidRequest)


def _unknown(method: str, words: str) -> type[OmniError]:
    """A stream that Omni ends by shutting down comes so; else it is a fault of the request."""
    if method == "Watch":
        return errors.WatchEnded
    return errors.OmniUnavailable if words.startswith(_PASSING) else errors.InvalidRequest


def _precondition(method: str, words: str) -> type[OmniError]:
    if "bookmark" in words:
        return errors.WatchEnded
    if any(mark in words for mark in _EULA):
        return errors.EulaNotAccepted
    return _PRECONDITION.get(method, errors.EulaNotAccepted)


def _permission(method: str, words: str) -> type[OmniError]:
    if "is owned by" in words:
        return errors.OwnerConflict
    if "not registered" in words:
        return errors.NotRegistered
    # A provider that may not even read has not the rights of one.
    if method in _READING or any(mark in words for mark in _ROLE):
        return errors.RoleInsufficient
    return errors.PermissionRefused


def _argument(_method: str, words: str) -> type[OmniError]:
    return errors.PhaseConflict if "is not in phase" in words else errors.InvalidRequest


_BY_WORDS: Final[dict[grpc.StatusCode, Callable[[str, str], type[OmniError]]]] = {
    _CODE.UNKNOWN: _unknown,
    _CODE.FAILED_PRECONDITION: _precondition,
    _CODE.PERMISSION_DENIED: _permission,
    _CODE.INVALID_ARGUMENT: _argument,
}

"""What can go wrong with a call to Omni, named by what the caller can do about it.

Omni gives a code and a text, no details, and the same code means different things on different methods; so an
error is told by method and code (`error_for`). `hint` is for the operator.
"""

from __future__ import annotations

import grpc

from app.omni.handshake import handshake_words

# Enough to tell what is wrong; more would be a page of somebody else's text in our log.
WORDS_LIMIT = 300


class OmniError(Exception):
    """A call to Omni failed. `words` is what Omni said, cleaned and cut."""

    hint = ""

    def __init__(self, method: str, subject: str, words: str) -> None:
        super().__init__(f"{method} {subject}: {words}" if subject else f"{method}: {words}")
        self.method = method
        self.subject = subject
        self.words = words


class OmniUnavailable(OmniError):
    """Omni did not answer, or broke off: try again."""

    hint = "Is Omni running, and is --omni-api-endpoint right and reachable from here?"


class CertificateRefused(OmniUnavailable):
    """No TLS connection was agreed on, mostly because Omni's certificate is not trusted: see `words`."""

    hint = (
        "Add the authority of Omni's certificate to those of this system, or name its file in SSL_CERT_FILE, or use "
        "--insecure-skip-tls-verify; http:// is for an Omni without TLS."
    )


class Conflict(OmniError):
    """Somebody else changed the resource first: read it again."""


class NotFound(OmniError):
    """There is no such resource, or it is another provider's."""


class AlreadyExists(OmniError):
    """A resource of this id is there already; ids are shared by all providers."""


class PermissionRefused(OmniError):
    """Omni does not allow it: trying again changes nothing."""

    hint = "Does the service account have the role InfraProvider, and was `omnictl infraprovider create ID` run?"


class OwnerConflict(PermissionRefused):
    """The resource has another owner than the one we gave."""

    hint = "Another program owns this resource."


class NotAuthenticated(PermissionRefused):
    """Omni does not know who asks."""

    hint = "Is the service account key right and not expired, and is the clock within 5 minutes of Omni's?"


class InvalidRequest(OmniError):
    """The request is wrong as it stands: never try it again unchanged."""


class PhaseConflict(InvalidRequest):
    """The resource is tearing down (or not) while the opposite was expected."""


class EulaNotAccepted(InvalidRequest):
    """Omni refuses everything until somebody accepts its licence."""

    hint = "Accept the EULA in Omni's web page first."


class PendingFinalizers(OmniError):
    """The resource cannot be destroyed while others hold finalizers on it: try again later."""


class EndpointInvalid(ValueError):
    """The endpoint of Omni is one that cannot be used; the text says why."""


_RETRY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
    }
)
_BY_CODE: dict[grpc.StatusCode, type[OmniError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.PERMISSION_DENIED: PermissionRefused,
    grpc.StatusCode.UNAUTHENTICATED: NotAuthenticated,
}
_PRECONDITION: dict[str, type[OmniError]] = {
    "Update": Conflict,
    "Destroy": PendingFinalizers,
    "Teardown": PendingFinalizers,
    "Watch": OmniUnavailable,  # a bookmark that is not valid; a new watch takes none
}


def error_for(method: str, code: grpc.StatusCode, details: str, subject: str = "") -> OmniError:
    """The error that a status of this method means."""
    refused = handshake_words(details) if code is grpc.StatusCode.UNAVAILABLE else ""
    if refused:
        return CertificateRefused(method, subject, f"Omni is not trusted: {refused}")
    words = clean(details) or code.name
    return _class_for(method, code, words)(method, subject, words)


def _class_for(method: str, code: grpc.StatusCode, words: str) -> type[OmniError]:
    if code in _RETRY:
        return OmniUnavailable
    if code is grpc.StatusCode.UNKNOWN:
        # A stream that Omni ends by shutting down comes as UNKNOWN; else it is a fault of the request.
        return OmniUnavailable if method == "Watch" or words.startswith("Stream removed") else InvalidRequest
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return EulaNotAccepted if "eula" in words.lower() else _PRECONDITION.get(method, InvalidRequest)
    if code is grpc.StatusCode.INVALID_ARGUMENT and "is not in phase" in words:
        return PhaseConflict
    if code is grpc.StatusCode.PERMISSION_DENIED and "is owned by" in words:
        return OwnerConflict
    return _BY_CODE.get(code, InvalidRequest)


def clean(text: str) -> str:
    """Somebody else's text in one line, without control characters, not too long."""
    line = "".join(c if c.isprintable() else " " for c in text).strip()
    return line if len(line) <= WORDS_LIMIT else line[: WORDS_LIMIT - 1] + "…"

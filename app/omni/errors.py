"""What can go wrong with a call to Omni, named by what the caller can do about it.

Omni gives a code and a text, no details, and the same code means different things on different methods; so an
error is told by method and code (app/omni/status.py). `code` is short and stays the same in every version, for logs and
programs; `hint` is the remedy, for the operator.
"""

from __future__ import annotations

# Enough to tell what is wrong; more would be a page of somebody else's text in our log.
WORDS_LIMIT = 300


class OmniError(Exception):
    """A call to Omni failed. `words` is what Omni said, cleaned and cut.

    lasting: the same request will be refused again, until a person changes something.
    """

    code = "omni-error"
    hint = ""
    lasting = False

    def __init__(self, method: str, subject: str, words: str) -> None:
        super().__init__(f"{method} {subject}: {words}" if subject else f"{method}: {words}")
        self.method = method
        self.subject = subject
        self.words = words


# Omni does not answer


class OmniUnavailable(OmniError):
    """Omni did not answer, or broke off: try again."""

    code = "omni-unreachable"
    hint = "Is Omni running, and is --omni-api-endpoint right and reachable from here?"


class CertificateRefused(OmniUnavailable):
    """No TLS connection was agreed on, mostly because Omni's certificate is not trusted: see `words`."""

    code = "certificate-not-trusted"
    hint = (
        "Add the authority of Omni's certificate to those of this system, or name its file in SSL_CERT_FILE, or use "
        "--insecure-skip-tls-verify; http:// is for an Omni without TLS."
    )


class NotOmni(OmniUnavailable):
    """Something answers, and it is not Omni: a proxy before it, or another program."""

    code = "not-omni"
    hint = "--omni-api-endpoint must be the address at which Omni's API is served; a proxy before it must pass gRPC on."


class WatchEnded(OmniUnavailable):
    """Omni ended a watch, or reported an error in it: begin it anew."""

    code = "watch-ended"
    hint = "The watch begins anew by itself; nothing is to be done unless this stays."


# Omni refuses whoever asks, whatever is asked for


class AccountRefused(OmniError):
    """Omni refuses the account, not the request: it is worth another try once somebody has mended that."""

    code = "account-refused"


class NotAuthenticated(AccountRefused):
    """Omni does not know who asks: the account was deleted, or the key is another's."""

    code = "key-refused"
    hint = (
        "Omni does not know this key: the account was deleted, or the key is of another Omni. Make a key with "
        "`omnictl infraprovider renewkey ID`, or the account anew with `omnictl infraprovider create ID`, set "
        "OMNI_SERVICE_ACCOUNT_KEY to it and start again."
    )


class KeyExpired(NotAuthenticated):
    """The service account key is not good any more."""

    code = "key-expired"
    hint = (
        "Make another key with `omnictl infraprovider renewkey ID`, set OMNI_SERVICE_ACCOUNT_KEY to it and start again."
    )


class ClockWrong(NotAuthenticated):
    """The clocks differ by more than Omni allows, so no signature is good."""

    code = "clock-skew"
    hint = "Set this host's clock, or Omni's, by NTP. Nothing has to be started again."


class EulaNotAccepted(AccountRefused):
    """Omni refuses everything until somebody accepts its licence."""

    code = "eula-not-accepted"
    hint = "Accept the EULA in Omni's web page. Nothing has to be started again."


class NotRegistered(AccountRefused):
    """There is a service account, but no provider of that id."""

    code = "not-registered"
    hint = (
        "Run `omnictl infraprovider create ID`, ID being that of --id. Where the service account is there already, it "
        "ends with an error, and the key works all the same. Nothing has to be started again."
    )


# Omni refuses this request


class PermissionRefused(OmniError):
    """Omni does not allow it: trying again changes nothing."""

    code = "not-allowed"
    lasting = True
    hint = "Omni does not let providers do this; is it of a version that is supported?"


class RoleInsufficient(PermissionRefused, AccountRefused):
    """The account may not do what a provider must be able to do."""

    code = "wrong-role"
    hint = (
        "The service account must have the role InfraProvider and be that of --id: make it with "
        "`omnictl infraprovider create ID`, set OMNI_SERVICE_ACCOUNT_KEY to its key and start again."
    )


class OwnerConflict(PermissionRefused):
    """The resource has another owner than the one we gave."""

    code = "owner-conflict"
    hint = "Another program owns this resource. Only one provider may run under the id of --id."


class Conflict(OmniError):
    """Somebody else changed the resource first: read it again."""

    code = "conflict"
    hint = "Another program writes the same resource. Only one provider may run under the id of --id."


class NotFound(OmniError):
    """There is no such resource, or it is another provider's."""

    code = "not-found"


class AlreadyExists(OmniError):
    """A resource of this id is there already; ids are shared by all providers."""

    code = "already-exists"


class InvalidRequest(OmniError):
    """The request is wrong as it stands: never try it again unchanged."""

    code = "invalid-request"
    lasting = True
    hint = "This is a fault of this program, or Omni is of a version that is not supported."


class PhaseConflict(InvalidRequest):
    """The resource is tearing down (or not) while the opposite was expected."""

    code = "phase-conflict"
    hint = ""
    lasting = False


class PendingFinalizers(OmniError):
    """The resource cannot be destroyed while others hold finalizers on it: try again later."""

    code = "pending-finalizers"


class EndpointInvalid(ValueError):
    """The endpoint of Omni is one that cannot be used; the text says why."""


def clean(text: str) -> str:
    """Somebody else's text in one line, without control characters, not too long."""
    line = "".join(c if c.isprintable() else " " for c in text).strip()
    return line if len(line) <= WORDS_LIMIT else line[: WORDS_LIMIT - 1] + "…"

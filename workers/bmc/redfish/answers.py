"""What an error of Redfish says, and which of our errors it is.

Vendors put their messages in three places and write their keys in two ways; sushy reads one of each and takes an
answer of another shape for a fault of the program.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from app.agents.words import clean
from workers.bmc.errors import (
    BmcAuthenticationFailed,
    BmcBusy,
    BmcError,
    BmcNotPermitted,
    BmcRefused,
    BmcUnsupported,
)
from workers.bmc.known import Known
from workers.bmc.quirks import Effect, has

# What is looked through for patterns: a dozen messages.
_MOST_TEXT: Final = 8_192
_LOGIN: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_BUSY: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_UNSUPPORTED: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
# Message ids of the standard (Base registry), without registry and version.
_BUSY_IDS: Final = {"ServiceTemporarilyUnavailable", "ServiceShuttingDown", "ServiceInUnknownState", "ResourceInUse"}
_UNSUPPORTED_IDS: Final = {
    "ActionNotSupported",
    "ActionParameterNotSupported",
    "ActionParameterUnknown",
    "ActionParameterValueFormatError",
    "ActionParameterValueNotInList",
    "OperationNotAllowed",
    "PropertyNotWritable",
    "PropertyUnknown",
    "PropertyValueNotInList",
}
_DENIED_IDS: Final = {"InsufficientPrivilege"}
_SAYS_NOTHING: Final = {"", "ExtendedInfo", "GeneralError", "Success"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with a status of 400 or more.

    status: of HTTP.
    ids: of its messages, without registry and version.
    words: what it says, for a person; cut and cleaned.
    text: all of its messages, with ids and arguments, to look for patterns; not for people.
    times: how often in a row it was answered before that was believed.
    login_taken: something was read with this login before, in the same session.
    of_a_service: it came as a service answers, and not as a page for people.
    """

    status: int
    ids: frozenset[str]
    words: str
    text: str
    times: int = 1
    login_taken: bool = False
    of_a_service: bool = False


class Refused(Exception):
    """The BMC answered with an error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


def read_refusal(status: int, body: bytes, secrets: Collection[str] = ()) -> Refusal:
    """What an error says, in whatever shape it comes; some repeat what they were sent, and `secrets` are left out."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        plain = _without(secrets, body.decode(errors="replace"))[:_MOST_TEXT]
        return Refusal(status, frozenset(), clean(plain), plain)
    messages = list(_messages_of(document, secrets))
    ids = frozenset(message_id for message_id, _, _ in messages)
    telling = [message for message in messages if message[0] not in _SAYS_NOTHING] or messages
    words = next((said or f"{message_id} {more}" for message_id, said, more in telling), "")
    text = " ".join(" ".join(message) for message in messages)
    return Refusal(status, ids, clean(words), text[:_MOST_TEXT])


def class_of(refusal: Refusal, known: Known) -> type[BmcError]:
    """Which of our errors it is, from a BMC of which this is known."""
    if refusal.status in _BUSY or refusal.ids & _BUSY_IDS or has(Effect.BUSY, known, refusal.text):
        return BmcBusy
    if refusal.status in _LOGIN:
        denied = refusal.status == HTTPStatus.FORBIDDEN or refusal.ids & _DENIED_IDS
        return BmcNotPermitted if refusal.login_taken and denied else BmcAuthenticationFailed
    if refusal.status in _UNSUPPORTED or refusal.ids & _UNSUPPORTED_IDS:
        return BmcUnsupported
    return BmcRefused


def error_of(refusal: Refusal, known: Known, asked: str) -> BmcError:
    """Our error.

    Args:
        refusal: what was answered.
        known: of the BMC.
        asked: the BMC, and what it was asked, in words.
    """
    kind = class_of(refusal, known)
    # A fault of the server can come after the command; a refusal comes instead of it.
    surely_not = refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR or issubclass(kind, (BmcBusy, BmcUnsupported))
    words = f"{asked} with {refusal.status} {refusal.words}".rstrip()
    error = kind(words, executed=False if surely_not else None)
    if isinstance(error, BmcAuthenticationFailed):
        error.refusals = refusal.times
    return error


def _messages_of(document: Any, secrets: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Each message's id, words, and what it is about."""
    for holder in (document, as_dict(document).get("error")):
        inside = as_dict(holder)
        for key in ("@Message.ExtendedInfo", "Messages"):
            listed = inside.get(key)
            for message in listed if isinstance(listed, list) else [listed]:
                if isinstance(message, dict):
                    yield _message(message, secrets)
        if "code" in inside or "message" in inside:
            yield _message({"MessageId": inside.get("code"), "Message": inside.get("message")}, secrets)


def _message(message: dict[str, Any], secrets: Collection[str]) -> tuple[str, str, str]:
    """One message; iLO 4 writes MessageID."""
    about = (message.get("MessageArgs"), message.get("RelatedProperties"))
    more = " ".join(_text(item) for listed in about if isinstance(listed, list) for item in listed)
    message_id = _text(message.get("MessageId") or message.get("MessageID"))
    without = functools.partial(_without, secrets)
    return without(message_id).rpartition(".")[2], without(_text(message.get("Message"))), without(more)


def _without(secrets: Collection[str], text: str) -> str:
    """The text with no secret in it. Before it is cut: a part of a secret is not found any more."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "(login)")
    return text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def as_dict(value: Any) -> dict[str, Any]:
    """The value where it is an object of JSON, else an empty one."""
    return value if isinstance(value, dict) else {}

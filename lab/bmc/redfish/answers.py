"""Answers as Redfish has them: documents, and errors with a message of the Base registry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from lab.http import Response

Document = Mapping[str, object]

ODATA: Final = {"OData-Version": "4.0"}
REALM: Final = {"WWW-Authenticate": 'Basic realm="redfish"'}
_REGISTRY: Final = "Base.1.16"


class Refused(Exception):
    """What is asked for is not done; `response` says why."""

    def __init__(self, status: int, message: str, words: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        info = {
            "@odata.type": "#Message.v1_1_2.Message",
            "MessageId": f"{_REGISTRY}.{message}",
            "Message": words,
            "MessageArgs": [],
            "MessageSeverity": "Critical",
            "Resolution": "None.",
        }
        body = {
            "error": {
                "code": f"{_REGISTRY}.GeneralError",
                "message": "A general error has occurred. See ExtendedInfo for more information.",
                "@Message.ExtendedInfo": [info],
            }
        }
        self.response = document(body, status, headers or {})


def document(body: Document, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a document."""
    return Response(status, json.dumps(body).encode(), "application/json; charset=utf-8", ODATA | dict(headers or {}))


def done() -> Response:
    """An answer without a document."""
    return Response(204, headers=ODATA)


def read_body(body: bytes) -> dict[str, object]:
    """The object that was sent. Raises Refused."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise Refused(400, "MalformedJSON", "The request body is no JSON object.")
    return read


def not_found(path: str) -> Refused:
    """There is nothing at this path."""
    return Refused(404, "ResourceMissingAtURI", f"The resource at the URI {path} was not found.")


def not_allowed(*methods: str) -> Refused:
    """The resource is there, and takes these methods alone."""
    words = "The HTTP method is not allowed on this resource."
    return Refused(405, "OperationNotAllowed", words, {"Allow": ", ".join(methods)})


def unauthorized() -> Refused:
    """The login is missing or wrong."""
    words = "The credentials included with this request are missing or invalid."
    return Refused(401, "ResourceAtUriUnauthorized", words, REALM)


def busy() -> Refused:
    """The service has no time."""
    return Refused(503, "ServiceTemporarilyUnavailable", "The service is temporarily unavailable. Retry in 10 seconds.")

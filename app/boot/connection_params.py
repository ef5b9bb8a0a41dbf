"""The machine configuration of an Omni that has no ProviderJoinConfig: made from its ConnectionParams.

Such an Omni gives one plain join token to all providers. Each puts its own id into the token and signs it, so that
Omni knows which provider a machine belongs to.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import yaml

API_VERSION: Final = "v1alpha1"
# Omni's own address inside the tunnel that a machine has to it; the same in every installation.
OMNI_ADDRESS: Final = "[fdae:41e4:649b:9303::1]"
_PROVIDER_ID: Final = "omni.sidero.dev/infra-provider-id"
_VERSIONED: Final = re.compile(r"v\d+:")
_LAST_PORT: Final = 65_535


class ParamsUnusable(Exception):
    """Machines could not join with these; text and remedy hold no secret."""

    def __init__(self, missing: list[str], remedies: list[str]) -> None:
        super().__init__(f"Omni's ConnectionParams have {' and '.join(missing)}")
        self.remedy = f"Start Omni with {', '.join(remedies)}."


@dataclass(frozen=True, slots=True)
class ConnectionParams:
    """What Omni says of how machines reach it. api_endpoint: a URL; the ports are TCP ports of `OMNI_ADDRESS`."""

    api_endpoint: str
    join_token: str = field(repr=False)
    events_port: int
    logs_port: int


def join_documents(params: ConnectionParams, provider_id: str) -> str:
    """The three documents with which a machine of this provider joins (docs/boot.md); they hold the join token.

    Raises:
        ParamsUnusable: something is missing.
    """
    _check(params)
    documents = [
        {"kind": "SideroLinkConfig", "apiUrl": _api_url(params, provider_id)},
        {"kind": "EventSinkConfig", "endpoint": f"{OMNI_ADDRESS}:{params.events_port}"},
        {"kind": "KmsgLogConfig", "name": "omni-kmsg", "url": f"tcp://{OMNI_ADDRESS}:{params.logs_port}"},
    ]
    text: str = yaml.safe_dump_all(
        [{"apiVersion": API_VERSION, **document} for document in documents], sort_keys=False, width=10_000
    )
    return text


def provider_token(join_token: str, provider_id: str) -> str:
    """The token of version 1 that a machine of this provider joins with.

    Args:
        join_token: Omni's own; one that has a version already is the answer as it stands.
        provider_id: our `--id`.
    """
    if _VERSIONED.match(join_token):
        return join_token
    extra_data = {_PROVIDER_ID: provider_id}
    signature = hmac.digest(join_token.encode(), _compact(extra_data), hashlib.sha256)
    body = {"extra_data": extra_data, "signature": base64.b64encode(signature).decode()}
    return "v1:" + base64.b64encode(_compact(body)).decode()


def _api_url(params: ConnectionParams, provider_id: str) -> str:
    url = urlsplit(params.api_endpoint)
    query = [(name, value) for name, value in parse_qsl(url.query, keep_blank_values=True) if name != "jointoken"]
    query.append(("jointoken", provider_token(params.join_token, provider_id)))
    return url._replace(query=urlencode(query)).geturl()


def _compact(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _check(params: ConnectionParams) -> None:
    wanted = (
        (_is_url(params.api_endpoint), "no address of its machine API", "--machine-api-advertised-url set"),
        (bool(params.join_token), "no join token", "a join token"),
        (_is_port(params.events_port), "no port for events", "--event-sink-port set"),
        (_is_port(params.logs_port), "no port for logs", "--log-server-port set"),
    )
    lacking = [(missing, remedy) for good, missing, remedy in wanted if not good]
    if lacking:
        raise ParamsUnusable([missing for missing, _ in lacking], [remedy for _, remedy in lacking])


def _is_port(number: int) -> bool:
    return 0 < number <= _LAST_PORT


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return bool(url.scheme and url.hostname)
    except ValueError:
        return False

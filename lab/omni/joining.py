"""How machines join the stand-in Omni: what it gives its provider for them, and the tokens that it lets in.

A token holds the provider's id, signed. Version 2 is signed with the token that only this provider knows, from its
ProviderJoinConfig; version 1, for an Omni without that type, with the one that all providers know.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from app.omni.kinds import Kind
from app.omni.resource import Draft, Resource, blank
from lab.omni.access import PROVIDER_LABEL
from lab.omni.store import Place, Store

PARAMS_ID: Final = "siderolink-config"
API: Final = "grpc://127.0.0.1:8090"
EVENTS_PORT, LOGS_PORT = 8091, 8092
ADDRESS: Final = "[fdae:41e4:649b:9303::1]"
_CONFIG: Final = """apiVersion: v1alpha1
kind: SideroLinkConfig
apiUrl: {url}
---
apiVersion: v1alpha1
kind: EventSinkConfig
endpoint: '{address}:{events_port}'
---
apiVersion: v1alpha1
kind: KmsgLogConfig
name: omni-kmsg
url: tcp://{address}:{logs_port}
"""


class Joining:
    """The join configuration of one provider. old: as an Omni that has no type ProviderJoinConfigs."""

    def __init__(self, store: Store, provider_id: str, *, old: bool) -> None:
        self._store = store
        self._provider_id = provider_id
        self._old = old
        self._draft(Kind.CONNECTION_PARAMS, PARAMS_ID, self._fill_params, create=True)
        if not old:
            definition = Kind.PROVIDER_JOIN_CONFIG.type(provider_id)
            self._draft(
                Kind.RESOURCE_DEFINITION,
                definition.lower(),
                lambda draft: setattr(draft.spec, "resource_type", definition),
                create=True,
            )
            self._draft(Kind.PROVIDER_JOIN_CONFIG, provider_id, self._fill_config, create=True)

    def rotate(self) -> None:
        """Replace the tokens: who has an older one is not let in any more."""
        self._draft(Kind.CONNECTION_PARAMS, PARAMS_ID, self._fill_params)
        if not self._old:
            self._draft(Kind.PROVIDER_JOIN_CONFIG, self._provider_id, self._fill_config)

    def withdraw(self) -> None:
        """Take what the provider needs away, as before Omni has made it."""
        kind, resource_id = self._source()
        self._store.destroy(self._place(kind), resource_id)

    def give(self) -> None:
        """Make what `withdraw` took, with new tokens."""
        kind, resource_id = self._source()
        self._draft(kind, resource_id, self._fill_params if self._old else self._fill_config, create=True)

    def set_params(self, **fields: Any) -> None:
        """Change the ConnectionParams."""

        def edit(draft: Draft) -> None:
            for name, value in fields.items():
                setattr(draft.spec, name, value)

        self._draft(Kind.CONNECTION_PARAMS, PARAMS_ID, edit)

    def lets_in(self, token: str) -> bool:
        """Whether a machine with this token may join, and is this provider's."""
        kind, resource_id = self._source()
        raw = self._store.find(self._place(kind), resource_id)
        if raw is None:
            return False
        key = Resource(kind, raw).spec.join_token
        try:
            version, _, text = token.partition(":")
            body = json.loads(base64.b64decode(text, validate=True))
            signed = json.dumps(body["extra_data"], sort_keys=True, separators=(",", ":")).encode()
            signature = base64.b64decode(body["signature"], validate=True)
            provider_id = body["extra_data"]["omni.sidero.dev/infra-provider-id"]
        except (binascii.Error, KeyError, TypeError, ValueError):
            return False
        good = hmac.compare_digest(signature, hmac.digest(key.encode(), signed, "sha256"))
        return good and version == ("v1" if self._old else "v2") and provider_id == self._provider_id

    def _source(self) -> tuple[Kind, str]:
        return (Kind.CONNECTION_PARAMS, PARAMS_ID) if self._old else (Kind.PROVIDER_JOIN_CONFIG, self._provider_id)

    def _fill_params(self, draft: Draft) -> None:
        spec = draft.spec
        spec.api_endpoint, spec.events_port, spec.logs_port = API, EVENTS_PORT, LOGS_PORT
        spec.join_token = f"lab-join-token-{secrets.token_hex(8)}"

    def _fill_config(self, draft: Draft) -> None:
        spec = draft.spec
        spec.join_token = f"lab-provider-token-{secrets.token_hex(8)}"
        url = f"{API}?jointoken={quote(token_v2(spec.join_token, self._provider_id), safe='')}"
        spec.config.kernel_args[:] = [
            f"siderolink.api={url}",
            f"talos.events.sink={ADDRESS}:{EVENTS_PORT}",
            f"talos.logging.kernel=tcp://{ADDRESS}:{LOGS_PORT}",
        ]
        spec.config.config = _CONFIG.format(url=url, address=ADDRESS, events_port=EVENTS_PORT, logs_port=LOGS_PORT)
        draft.labels[PROVIDER_LABEL] = self._provider_id

    def _draft(self, kind: Kind, resource_id: str, edit: Callable[[Draft], object], *, create: bool = False) -> None:
        if create:
            base = blank(kind, self._provider_id, resource_id)
        else:
            base = Resource(kind, self._store.get(self._place(kind), resource_id))
        draft = Draft(base)
        edit(draft)
        store = self._store.create if create else self._store.update
        store(draft.build())

    def _place(self, kind: Kind) -> Place:
        return Place(kind.namespace(self._provider_id), kind.type(self._provider_id))


def token_v2(join_token: str, provider_id: str) -> str:
    """A token of version 2 for machines of this provider."""
    message = json.dumps({"omni.sidero.dev/infra-provider-id": provider_id}, separators=(",", ":"))
    signature = base64.b64encode(hmac.digest(join_token.encode(), message.encode(), "sha256")).decode()
    return "v2:" + base64.b64encode(f'{{"extra_data":{message},"signature":"{signature}"}}'.encode()).decode()

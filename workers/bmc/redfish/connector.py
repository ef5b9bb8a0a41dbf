"""sushy's connector on a line of ours: each request is sent once, and no error repeats the login.

It asks again by itself after some errors; here every error leaves it by its callback before it comes to that.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import requests
from sushy.connector import Connector

from workers.bmc.redfish.answers import Refused, read_refusal
from workers.bmc.redfish.line import Line


class LineConnector(Connector):  # type: ignore[misc]  # sushy has no types
    """The requests to one BMC. origin: its URL without a path."""

    def __init__(self, line: Line, origin: str, username: str, password: str) -> None:
        # One try: 0 stands for three, and more for more. The line checks certificates.
        super().__init__(origin, verify=True, server_side_retries=1, response_callback=self._check)
        self.origin = origin
        session: requests.Session = self._session
        session.trust_env = False  # no look for proxies and .netrc with each request: a line uses neither
        session.mount("https://", line)
        session.mount("http://", line)
        session.headers["Connection"] = "keep-alive"
        # As bytes, since requests would write it in Latin-1, which has not all letters.
        user, secret = username.encode(), password.encode()
        self.set_http_basic_auth(user, secret)
        self._secrets = _ways_to_write(password) | {b64encode(b"%b:%b" % (user, secret)).decode()}

    def ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        headers: dict[str, str],
        *,
        with_login: bool,
    ) -> requests.Response:
        """One request, sent once. Raises Refused, and what a line raises."""
        options = {} if with_login else {"auth": _no_login}
        response: requests.Response = self._op(
            method, path, data=body, headers=headers, server_side_retries_left=0, **options
        )
        return response

    def _check(self, response: requests.Response) -> None:
        """Raise Refused where the answer is an error, before sushy looks at it."""
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            refusal = read_refusal(response.status_code, response.content, self._secrets)
            raise Refused(replace(refusal, of_a_service=_of_a_service(response.headers)))


def _of_a_service(headers: Mapping[str, str]) -> bool:
    """Whether an answer's header is that of Redfish, or tells of JSON."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return "OData-Version" in headers or kind == "application/json"


def _ways_to_write(password: str) -> set[str]:
    """The password as it may stand in an answer that repeats it, which is read as UTF-8 whatever it is."""
    written = {json.dumps(password)[1:-1], json.dumps(password, ensure_ascii=False)[1:-1], html.escape(password)}
    in_latin_1 = password.encode("latin-1", "replace").decode(errors="replace")
    return {password, in_latin_1, *written} - {""}


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request

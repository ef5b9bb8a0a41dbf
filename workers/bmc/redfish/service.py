"""The Redfish service of one BMC: requests that carry the login, answers that are checked, errors that are ours.

Nothing is sent twice but a request whose login was refused, and that only where the login is known to work, or the BMC
to refuse now and then.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
from sushy.exceptions import SushyError

from app.agents.words import clean
from workers.bmc.errors import (
    MOST_REFUSALS,
    BmcAuthenticationFailed,
    BmcError,
    BmcNotTrusted,
    BmcRefused,
    BmcUnreachable,
)
from workers.bmc.exchange import NotConnected
from workers.bmc.known import BmcKind, Known
from workers.bmc.quirks import Effect, has
from workers.bmc.redfish.answers import Refusal, Refused, class_of, error_of
from workers.bmc.redfish.connector import LineConnector
from workers.bmc.redfish.line import AnswerLost, AnswerUnfit, CertificateNotTrusted, Line, Redirected

# A BMC that refuses a right login now and then takes it a second later.
REFUSED_PAUSE_S = 1.0
# iLO leads from /redfish/v1/Systems/1 to /redfish/v1/Systems/1/: one step. More is a circle.
MOST_REDIRECTS: Final = 3
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@dataclass(frozen=True, slots=True)
class Document:
    """A resource as it was read.

    etag: of the header, "" where there is none.
    pending: what it tells of is not done yet.
    """

    path: str
    content: dict[str, Any]
    etag: str = ""
    pending: bool = False


class Service:
    """The service of one BMC. Every method raises BmcError alone.

    known: what is known of the BMC, by which its errors are understood; whoever learns more sets it.
    login_worked: this very login has worked with this BMC, now or before.
    """

    def __init__(self, line: Line, origin: str, username: str, password: str, *, login_worked: bool) -> None:
        self.known = Known(BmcKind.REDFISH)
        self._refusals = self._told_refusals = 0
        self.login_worked = login_worked
        self._login_taken = False
        self._line = line
        self._shown = clean(urlsplit(origin).netloc)
        self._connector = LineConnector(line, origin, username, password)

    def read(self, path: str, *, with_login: bool = True) -> Document:
        """GET a resource."""
        found = self.try_read(path, with_login=with_login)
        if isinstance(found, Refusal):
            raise self.error(found, "GET", path)
        return found

    def find(self, path: str) -> Document | None:
        """GET a resource that may not be there; then None."""
        found = self.try_read(path)
        if isinstance(found, Document):
            return found
        if found.status in _GONE:
            return None
        raise self.error(found, "GET", path)

    def try_read(self, asked: str, *, with_login: bool = True) -> Document | Refusal:
        """GET a resource; the answer may be a refusal."""
        path = asked
        for _ in range(MOST_REDIRECTS + 1):
            with self._as_ours("GET", asked):
                try:
                    answer = self._ask("GET", path, with_login=with_login)
                except Redirected as error:
                    path = self._same_place(str(error), path)
                    continue
                if isinstance(answer, Refusal):
                    return answer
                pending = answer.status_code == HTTPStatus.ACCEPTED
                content = {} if pending and not answer.content else content_of(answer)
                return Document(path, content, answer.headers.get("ETag", ""), pending)
        raise self.refused(f"leads from {clean(asked)} in a circle")

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        """POST an action, once."""
        with self._as_ours("POST", path):
            answer = self._ask("POST", path, body)
        if isinstance(answer, Refusal):
            raise self.error(answer, "POST", path)
        return answer

    def try_patch(self, path: str, body: dict[str, Any], etag: str) -> requests.Response | Refusal:
        """PATCH a resource, once; the answer may be a refusal. etag: what If-Match says; "" sends none."""
        with self._as_ours("PATCH", path):
            return self._ask("PATCH", path, body, {"If-Match": etag} if etag else {})

    def error(self, refusal: Refusal, method: str, path: str) -> BmcError:
        """The error that a refusal is."""
        return error_of(refusal, self.known, f"the BMC at {self._shown} answered {method} {clean(path)}")

    def refused(self, words: str, *, executed: bool | None = False) -> BmcRefused:
        """The error for an answer that cannot be used."""
        return BmcRefused(f"the BMC at {self._shown} {words}", executed=executed)

    @contextlib.contextmanager
    def within(self, limit_s: float, wanted: str) -> Iterator[None]:
        """Limit the time of all requests inside together. wanted: what they are for. Raises BmcUnreachable."""
        with self._line.within(limit_s):
            try:
                yield
            except BmcUnreachable as error:
                if not self._line.out_of_time:
                    raise
                words = f"the BMC at {self._shown} did not show {wanted} within {limit_s:g} s"
                late = BmcUnreachable(words, executed=False)
                late.refusals = error.refusals
                raise late from None

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        *,
        with_login: bool = True,
    ) -> requests.Response | Refusal:
        while True:
            try:
                response = self._connector.ask(method, path, body, headers or {}, with_login=with_login)
            except Refused as error:
                refusal = replace(error.refusal, login_taken=self._login_taken)
                if not with_login or class_of(refusal, self.known) is not BmcAuthenticationFailed:
                    return refusal
                self._refusals += 1
                if self._refusals >= MOST_REFUSALS or not self._may_be_a_whim:
                    return replace(refusal, times=self._refusals)
                time.sleep(REFUSED_PAUSE_S)
            else:
                if with_login:
                    self._login_taken = self.login_worked = True
                    self._refusals = self._told_refusals = 0
                return response

    @property
    def _may_be_a_whim(self) -> bool:
        """Whether a login that was refused may be right all the same."""
        return self.login_worked or has(Effect.PATIENT_LOGIN, self.known)

    def _same_place(self, place: str, path: str) -> str:
        """The path to go on with. The login is for this BMC alone, so a place elsewhere is an error."""
        target = urlsplit(urljoin(self._connector.origin + path, place))
        here = urlsplit(self._connector.origin)
        if (target.scheme, target.hostname, target.port or here.port) != (here.scheme, here.hostname, here.port):
            raise Redirected(place)
        return target.path

    @contextlib.contextmanager
    def _as_ours(self, method: str, path: str) -> Iterator[None]:
        """Turn what goes wrong into our errors, which know how often the login was refused that none told before."""
        try:
            with self._translated(method, path):
                yield
        except BmcError as error:
            error.refusals, self._told_refusals = self._refusals - self._told_refusals, self._refusals
            raise

    @contextlib.contextmanager
    def _translated(self, method: str, path: str) -> Iterator[None]:
        bmc, asked = f"the BMC at {self._shown}", clean(path)
        try:
            yield
        except Redirected as error:
            words = f"{bmc} leads from {asked} to {clean(str(error))}, where no login is sent: see --redfish-use-https"
            raise BmcRefused(f"{words} and --redfish-port", executed=False) from None
        except CertificateNotTrusted as error:
            words = f"the certificate of {bmc} is not trusted: {clean(str(error))}"
            raise BmcNotTrusted(words, executed=False) from None
        except NotConnected as error:
            raise BmcUnreachable(f"{bmc} cannot be reached by Redfish ({error})", executed=False) from None
        except AnswerLost as error:
            raise BmcUnreachable(f"{bmc} does not answer {method} {asked} ({error})") from None
        except AnswerUnfit as error:
            raise BmcRefused(f"{bmc} answered {method} {asked} with {error}") from None
        except (SushyError, requests.RequestException, ValueError) as error:  # before anything is sent
            words = f"{bmc} names {asked}, which is no path ({type(error).__name__})"
            raise BmcRefused(words, executed=False) from None


def content_of(response: requests.Response) -> dict[str, Any]:
    """The object of JSON that an answer holds. Raises AnswerUnfit."""
    try:
        content = json.loads(response.content)
    except (ValueError, RecursionError):
        raise AnswerUnfit("something else than JSON") from None
    if not isinstance(content, dict):
        raise AnswerUnfit("something else than an object of JSON")
    return content


def origin_of(host: str, port: int, *, tls: bool) -> str:
    """The URL of a place, without a path."""
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"



"""One question to the image factory: which id does this schematic have?

Plain HTTP and no memory: `factory.py` decides when it is asked.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from urllib.parse import urlsplit

import urllib3
import yaml

from app.boot.errors import FactoryRefused, FactoryUnavailable
from app.machine.boot import Schematic

# The factory only hashes and stores the schematic, which takes milliseconds. iPXE gives up on an answer after about
# a minute, so ten seconds leave it time to hear an error and try again by itself.
FACTORY_TIMEOUT_S = 10.0
# An id and some JSON around it; a page of HTML from a proxy is cut here.
_ANSWER_LIMIT_BYTES = 65_536
_WORDS_LIMIT = 300
# As many questions as a web process has threads. Of connections beyond that urllib3 says that they are discarded, in a
# warning for each.
_AT_ONCE = 32
_ID = re.compile(r"[0-9a-f]{64}")
_OK = (200, 201)
# A factory that refuses an argument may quote it.
_INLINE = re.compile(r"(talos\.config\.inline)(?:=|%3D|&#61;|\\u003d)[^\s\"']+", re.IGNORECASE)
# A factory or a proxy before it that says "not now".
_BUSY = (408, 425, 429)


def schematic_yaml(schematic: Schematic) -> bytes:
    """The body of the question. Order is kept: the factory's id depends on it."""
    customization = {
        "extraKernelArgs": list(schematic.kernel_args),
        "systemExtensions": {"officialExtensions": list(schematic.extensions)},
    }
    # No folding of long lines, so that equal schematics are equal bytes in every version of the library.
    text: str = yaml.safe_dump({"customization": customization}, sort_keys=False, width=2**30)
    return text.encode()


class SchematicRequest:
    """Asks one factory. Safe to use from many threads; makes no connection before the first question."""

    def __init__(self, base_url: str, *, timeout_s: float = FACTORY_TIMEOUT_S) -> None:
        self._url = base_url.rstrip("/") + "/schematics"
        self._timeout_s = timeout_s
        self._pool = proxied_pool(self._url)

    def __call__(self, body: bytes) -> str:
        """The factory's id of the schematic. Raises FactoryUnavailable, FactoryRefused."""
        deadline_s = time.monotonic() + self._timeout_s
        try:
            # Asked so seldom that no connection is kept: one that went stale meanwhile cannot fail the question.
            response = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers={"Content-Type": "application/yaml", "Connection": "close"},
                timeout=urllib3.Timeout(total=self._timeout_s),
                retries=False,
                preload_content=False,
            )
            try:
                text = _read(response, deadline_s)
            finally:
                response.close()
        except urllib3.exceptions.HTTPError as error:
            raise FactoryUnavailable(f"the image factory at {self._url} did not answer: {why_failed(error)}") from None
        return self._id(response.status, text)

    def _id(self, status: int, text: str) -> str:
        if status >= 500 or status in _BUSY:
            raise FactoryUnavailable(f"the image factory at {self._url} answered {status}: {_clean(text)}")
        if status not in _OK:
            raise FactoryRefused(f"the image factory at {self._url} answered {status}: {_clean(text)}")
        try:
            found = json.loads(text)["id"]
        except (ValueError, KeyError, TypeError):
            found = None
        if not isinstance(found, str) or not _ID.fullmatch(found):
            raise FactoryRefused(f"the image factory at {self._url} answered without a schematic id: {_clean(text)}")
        return found


def _read(response: urllib3.BaseHTTPResponse, deadline_s: float) -> str:
    """The body, as far as it is of interest. An answer that trickles in must not outlive the limit."""
    body = b""
    while len(body) < _ANSWER_LIMIT_BYTES:
        piece = response.read1(_ANSWER_LIMIT_BYTES - len(body))
        if not piece:
            break
        body += piece
        if time.monotonic() > deadline_s:
            raise urllib3.exceptions.TimeoutError("the answer was not complete in time")
    return body.decode("utf-8", "replace")


def proxied_pool(url: str) -> urllib3.PoolManager:
    """Connections to this URL, through the proxy of the environment (HTTPS_PROXY, NO_PROXY) where there is one."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.netloc):
        return urllib3.ProxyManager(proxy, maxsize=_AT_ONCE)
    return urllib3.PoolManager(maxsize=_AT_ONCE)


def why_failed(error: urllib3.exceptions.HTTPError) -> str:
    """The error in words, without the Python object that urllib3 puts before some of them."""
    if isinstance(error, urllib3.exceptions.MaxRetryError) and isinstance(error.reason, urllib3.exceptions.HTTPError):
        error = error.reason
    return _clean(re.sub(r"^<?[\w.]+\(.*?\)>?: |^<.*?>: ", "", str(error)))


def _clean(text: str) -> str:
    """A peer's text, fit for a log line and a console: one line, printable, short, and without our join token."""
    text = _INLINE.sub(r"\1=[machine configuration]", text)
    return "".join(c if c.isprintable() else " " for c in text[:_WORDS_LIMIT]).strip()

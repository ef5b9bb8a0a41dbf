"""BMCs of the `api` kind: plain HTTP, as the metal agent's test mode and virtual machines have it."""

from __future__ import annotations

import json

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

from app.machine.model import PowerState
from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcError, BmcRefused, BmcUnreachable

# Such a BMC answers in milliseconds; five seconds are the limit that operators know from the Go provider.
TIMEOUT_S = 5.0
_ERROR_TEXT = 200


class ApiBmc:
    """A BMC at `host:port`."""

    def __init__(self, address: str) -> None:
        self._address = address
        # retries=False: a command is never sent twice, and a redirect is an error.
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(total=TIMEOUT_S))

    def power_state(self) -> PowerState:
        """GET /status."""
        body = self._ask("GET", "/status")
        try:
            powered_on = json.loads(body)["PoweredOn"]
        except (ValueError, KeyError, TypeError):
            powered_on = None
        if not isinstance(powered_on, bool):
            raise BmcRefused(f"the BMC at {self._address} answered /status with something else than PoweredOn")
        return PowerState.ON if powered_on else PowerState.OFF

    def power_on(self) -> None:
        """POST /poweron."""
        self._ask("POST", "/poweron")

    def power_off(self) -> None:
        """POST /poweroff."""
        self._ask("POST", "/poweroff")

    def reboot(self) -> None:
        """POST /reboot."""
        self._ask("POST", "/reboot")

    def arm_pxe(self, mode: str) -> None:
        """POST /pxeboot; this kind knows no boot mode."""
        del mode
        self._ask("POST", "/pxeboot")

    def close(self) -> None:
        """Close the connection."""
        self._http.clear()

    def _ask(self, method: str, path: str) -> bytes:
        try:
            answer = self._http.request(method, f"http://{self._address}{path}", headers={"Content-Length": "0"})
        except (HTTPError, UnicodeError) as error:
            raise self._unreachable(error, path) from None
        if answer.status == 200:
            return answer.data
        raise self._refused(answer.status, path, answer.data)

    def _unreachable(self, error: Exception, path: str) -> BmcError:
        cause = error.reason if isinstance(error, MaxRetryError) else error
        never_sent = isinstance(cause, NewConnectionError | ConnectTimeoutError | UnicodeError)
        words = f"the BMC at {self._address} does not answer {path} ({type(cause).__name__})"
        return BmcUnreachable(words, executed=False if never_sent else None)

    def _refused(self, status: int, path: str, body: bytes) -> BmcError:
        text = "".join(c if c.isprintable() else " " for c in body[:_ERROR_TEXT].decode(errors="replace")).strip()
        words = f"the BMC at {self._address} answered {path} with {status} {text}".rstrip()
        if status in (401, 403):
            return BmcAuthenticationFailed(words, executed=False)
        return BmcBusy(words, executed=False) if status == 503 else BmcRefused(words, executed=False)

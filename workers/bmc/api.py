"""BMCs of the `api` kind: plain HTTP, as the metal agent's test mode and virtual machines have it."""

from __future__ import annotations

import http.client
import json
import time

from app.machine.model import PowerState
from workers.bmc.client import StillOurs, used_alone
from workers.bmc.errors import (
    MOST_REFUSALS,
    BmcAuthenticationFailed,
    BmcBusy,
    BmcError,
    BmcRefused,
    BmcUnreachable,
)
from workers.bmc.exchange import MOST_BYTES, AddressUnusable, NotConnected, exchange
from workers.bmc.known import BmcKind, Known

BUSY, REFUSALS = 503, range(400, 500)
# There is no login that could be locked out; it is the same as with the other kinds.
REFUSED_PAUSE_S = 1.0
_ERROR_TEXT = 200
_ADDRESS_TEXT = 100


class ApiBmc:
    """A BMC at `host:port`. still_ours: is called before each command."""

    known = Known(BmcKind.API)

    def __init__(self, address: str, still_ours: StillOurs = used_alone) -> None:
        self._address, self._still_ours = address, still_ours

    def describe(self) -> Known:
        """This kind says nothing of itself."""
        return self.known

    def power_state(self) -> PowerState:
        """GET /status."""
        try:
            powered_on = json.loads(self._ask("GET", "/status"))["PoweredOn"]
        except (ValueError, KeyError, TypeError, RecursionError):
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

    def arm_pxe(self, mode: str) -> str:
        """POST /pxeboot; this kind knows no boot mode, and does not say what is armed."""
        del mode
        self._ask("POST", "/pxeboot")
        return ""

    def close(self) -> None:
        """Nothing: each question has a connection of its own, so that none is lost on one that went stale."""

    def _ask(self, method: str, path: str) -> bytes:
        """The body of the answer. What is refused like a wrong login was not carried out, and may be sent again."""
        for _ in range(MOST_REFUSALS - 1):
            try:
                return self._ask_once(method, path)
            except BmcAuthenticationFailed:
                time.sleep(REFUSED_PAUSE_S)
        return self._ask_once(method, path)

    def _ask_once(self, method: str, path: str) -> bytes:
        """The body of the answer; b"" for a command, which is done when its status says so."""
        if method != "GET":
            self._still_ours()
        try:
            with exchange(self._address, method, path) as answer:
                if answer.status != 200:
                    raise self._refused(answer.status, path, _beginning(answer))
                body = answer.read(MOST_BYTES + 1) if method == "GET" else b""
        except AddressUnusable:
            shown = self._address.rpartition("@")[2][:_ADDRESS_TEXT]
            raise BmcUnreachable(f"the BMC's address {shown!r} is not HOST:PORT", executed=False) from None
        except NotConnected as error:
            raise self._unreachable(str(error), path, executed=False) from None
        except (OSError, http.client.IncompleteRead) as error:
            raise self._unreachable(type(error).__name__, path, executed=None) from None
        except http.client.HTTPException as error:
            words = f"the BMC at {self._address} answered {path} with something else than HTTP ({type(error).__name__})"
            raise BmcRefused(words) from None
        if len(body) > MOST_BYTES:
            raise BmcRefused(f"the BMC at {self._address} answered {path} with more than {MOST_BYTES // 1024} KiB")
        return body

    def _unreachable(self, reason: str, path: str, *, executed: bool | None) -> BmcError:
        return BmcUnreachable(f"the BMC at {self._address} does not answer {path} ({reason})", executed=executed)

    def _refused(self, status: int, path: str, body: bytes) -> BmcError:
        text = "".join(c if c.isprintable() else " " for c in body[:_ERROR_TEXT].decode(errors="replace")).strip()
        words = f"the BMC at {self._address} answered {path} with {status} {text}".rstrip()
        if status in (401, 403):
            return BmcAuthenticationFailed(words, executed=False)
        if status == BUSY:
            return BmcBusy(words, executed=False)
        # It has not understood the request, or may have done it: a fault can come after the command.
        return BmcRefused(words, executed=False if status in REFUSALS else None)


def _beginning(answer: http.client.HTTPResponse) -> bytes:
    """What an error says for itself, as far as it can be read: its status is enough."""
    try:
        return answer.read(_ERROR_TEXT)
    except (OSError, http.client.HTTPException):
        return b""

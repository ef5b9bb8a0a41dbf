"""Who is logged in to the pages, without anything kept of it: signed cookies, and the tokens of their forms.

A session is `EXPIRES.RANDOM.SIGNATURE`. The signature covers the API token, so a changed token ends all sessions, and
is made with a key that all web processes of a site derive alike. Without an API token everyone on this machine has a
session: its cookie only ties forms to the browser that fetched them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

COOKIE: Final = "omni_metal_session"
# A working day and a bit: whoever opens the page each morning logs in each morning.
LIFE_S: Final = 12 * 3600


class Sessions:
    """Makes and checks sessions, and what belongs to one."""

    def __init__(self, key: bytes, token: str) -> None:
        self._key = key
        self._token = hashlib.sha256(token.encode()).hexdigest()

    def begin(self, now_s: float) -> str:
        """A new session."""
        text = f"{int(now_s) + LIFE_S}.{secrets.token_hex(16)}"
        return f"{text}.{self._sign('session', text)}"

    def valid(self, session: str, now_s: float) -> bool:
        """Whether a cookie holds a session that we began and that goes on."""
        text, _, signature = session.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", text).encode()):
            return False
        expires = text.partition(".")[0]
        return expires.isdecimal() and int(expires) > now_s

    def form_token(self, session: str) -> str:
        """What every form of this session carries."""
        return self._sign("form", session)

    def form_valid(self, session: str, shown: str) -> bool:
        """Whether a form carries what it should."""
        return hmac.compare_digest(self.form_token(session).encode(), shown.encode())

    def seal_words(self, session: str, words: str) -> str:
        """Words to show on the next page, as a query parameter that nobody else can make."""
        data = base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")
        return f"{data}.{self._sign('words', session + data)}"

    def open_words(self, session: str, sealed: str) -> str:
        """Those words; "" where we did not seal them for this session."""
        data, _, signature = sealed.rpartition(".")
        if not data or not hmac.compare_digest(signature.encode(), self._sign("words", session + data).encode()):
            return ""
        return base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)).decode()

    def _sign(self, purpose: str, text: str) -> str:
        message = f"{purpose}\n{self._token}\n{text}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

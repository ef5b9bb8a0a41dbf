"""The few Redis commands that the image factory's client uses, in memory, with a switch to make Redis unreachable."""

from __future__ import annotations

import threading
import time

import redis


class FakeRedis:
    """Shared by everything that is given the same instance, as one Redis is."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, float]] = {}
        self.down = False
        self._guard = threading.Lock()

    def get(self, key: str) -> bytes | None:
        with self._guard:
            self._answer()
            value, until_s = self.values.get(key, (None, 0.0))
            return value if value is not None and time.monotonic() < until_s else None

    def set(self, key: str, value: str, *, nx: bool = False, px: int | None = None, ex: int | None = None) -> bool:
        px = ex * 1000 if ex else px
        if nx and self.get(key) is not None:
            return False
        with self._guard:
            self._answer()
            until_s = time.monotonic() + px / 1000 if px else float("inf")
            self.values[key] = (value.encode(), until_s)
            return True

    def delete(self, key: str) -> int:
        with self._guard:
            self._answer()
            return int(self.values.pop(key, None) is not None)

    def eval(self, _script: str, _keys: int, key: str, *args: str) -> int:
        holder, value, lifetime_ms = args
        if self.get(key) != holder.encode():
            return 0
        if value:
            self.set(key, value, px=int(lifetime_ms))
        else:
            self.values.pop(key)
        return 1

    def flush(self) -> None:
        self.values.clear()

    def _answer(self) -> None:
        if self.down:
            raise redis.ConnectionError("connection refused")

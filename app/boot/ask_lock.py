"""Which process asks the image factory for one content, and what came of it if that failed.

The key in Redis holds the name of the process that asks, then for a few seconds the words of the failure, or nothing.
Where Redis does not answer everybody may ask: a boot matters more than one question too many.
"""

from __future__ import annotations

import secrets

import redis
import structlog

from app.boot.errors import BootError, FactoryRefused, FactoryUnavailable

log = structlog.get_logger()

_FAILURES: dict[str, type[BootError]] = {"unavailable": FactoryUnavailable, "refused": FactoryRefused}
_SWAP = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('del', KEYS[1]) end
redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""


class AskLock:
    """One holder's view of the lock of one content.

    lifetime_s: after which the lock of a process that died ends.
    """

    def __init__(self, client: redis.Redis | None, key: str, *, lifetime_s: float) -> None:
        self._redis = client
        self._key = f"om:schematic-lock:{key}"
        self._lifetime_ms = int(lifetime_s * 1000)
        self._holder = f"holder:{secrets.token_hex(8)}"

    def take(self) -> bool:
        """Whether the question is ours now. Raises the failure that another process had just now."""
        if self._redis is None:
            return True
        try:
            if self._redis.set(self._key, self._holder, nx=True, px=self._lifetime_ms):
                return True
            value = self._redis.get(self._key)
        except redis.RedisError:
            return True
        kind, _, words = value.decode("utf-8", "replace").partition(":") if isinstance(value, bytes) else ("", "", "")
        if kind in _FAILURES:
            raise _FAILURES[kind](words)
        return False

    def release(self) -> None:
        """The id is known, or the question was not asked."""
        self._swap("", 0)

    def fail(self, error: BootError, kept_s: float) -> None:
        """Tell the others for `kept_s` seconds what the factory said."""
        kind = next(name for name, error_type in _FAILURES.items() if isinstance(error, error_type))
        self._swap(f"{kind}:{error}", int(kept_s * 1000))

    def _swap(self, value: str, lifetime_ms: int) -> None:
        if self._redis is None:
            return
        try:
            self._redis.eval(_SWAP, 1, self._key, self._holder, value, str(lifetime_ms))
        except redis.RedisError as error:
            log.warning("schematic_lock_unreleased", hint="it ends by itself", error=str(error))

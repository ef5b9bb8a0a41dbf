"""One watcher is active, others stand by: a lock in Redis that the active one renews."""

from __future__ import annotations

import secrets
import time

import redis

LEADER = "om:watcher:leader"
# A standby takes over within this after the active one dies, and well within the 15 s that operators are promised.
LOCK_MS = 10_000
RENEW_EVERY_S = 3.0

_RENEW_LUA = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
if holder then
  -- a clock that was put back must not keep the lead of one that is dead
  if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE_LUA = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Leadership:
    """This process' claim to be the active watcher."""

    def __init__(self, client: redis.Redis) -> None:
        self._name = secrets.token_hex(8)
        self._renew = client.register_script(_RENEW_LUA)
        self._release = client.register_script(_RELEASE_LUA)
        self._until_s = 0.0
        self._renew_at_s = 0.0

    def claim(self) -> bool:
        """Take or renew the lock; False while another process holds it. Raises `redis.RedisError`."""
        now_s = time.monotonic()
        if now_s < self._renew_at_s:
            return True
        if not self._renew(keys=[LEADER], args=[self._name, LOCK_MS]):
            self._renew_at_s = 0.0
            return False
        self._until_s, self._renew_at_s = now_s + LOCK_MS / 1000, now_s + RENEW_EVERY_S
        return True

    def expired(self) -> bool:
        """Whether the lock may have passed to another process, because Redis did not answer for long."""
        return time.monotonic() > self._until_s

    def release(self) -> None:
        """Let a standby take over at once."""
        self._release(keys=[LEADER], args=[self._name])

"""Where schematic ids are kept once they are known: in this process, in Redis, and in a folder of the state directory.

Redis shares them between processes, the folder brings them back after Redis was lost, and both over restarts. An id
depends on the content of its schematic only, so it never becomes wrong and is never dropped. None of the three is
needed: what cannot be read or written is logged and passed over.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from pathlib import Path

import redis
import structlog

log = structlog.get_logger()

_ID = re.compile(r"[0-9a-f]{64}")
_KEY = "om:schematic:"


class SchematicStore:
    """Ids by the key of their content (see `ImageFactory`)."""

    def __init__(self, client: redis.Redis, folder: Path) -> None:
        self._redis = client
        self._folder = folder
        self._known: dict[str, str] = {}

    def known(self, key: str) -> str | None:
        """The id, if this process has it: no input or output at all."""
        return self._known.get(key)

    def find(self, key: str) -> str | None:
        """The id, from wherever it is; places that lack it get it."""
        found = self._known.get(key) or self._from_redis(key)
        if found:
            self._known[key] = found
            return found
        found = self._from_folder(key)
        if found:
            self._known[key] = found
            self._to_redis(key, found)
        return found

    def keep(self, key: str, schematic_id: str) -> None:
        """Keep a new id everywhere."""
        self._known[key] = schematic_id
        self._to_redis(key, schematic_id)
        self._to_folder(key, schematic_id)

    def _from_redis(self, key: str) -> str | None:
        try:
            value = self._redis.get(_KEY + key)
        except redis.RedisError as error:
            log.warning("schematic_cache_unread", place="redis", error=str(error))
            return None
        return _checked(value.decode("ascii", "replace")) if isinstance(value, bytes) else None

    def _to_redis(self, key: str, schematic_id: str) -> None:
        try:
            self._redis.set(_KEY + key, schematic_id)
        except redis.RedisError as error:
            log.warning("schematic_cache_unwritten", place="redis", error=str(error))

    def _from_folder(self, key: str) -> str | None:
        try:
            return _checked((self._folder / key).read_text("ascii").strip())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("schematic_cache_unread", place=str(self._folder), error=str(error))
            return None

    def _to_folder(self, key: str, schematic_id: str) -> None:
        """Write and rename, so that a reader never sees half an id."""
        draft = self._folder / f".{key}.{secrets.token_hex(4)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_text(schematic_id + "\n", "ascii")
            draft.replace(self._folder / key)
        except OSError as error:
            log.warning("schematic_cache_unwritten", place=str(self._folder), error=str(error))
            with contextlib.suppress(OSError):
                draft.unlink()


def _checked(text: str) -> str | None:
    return text if _ID.fullmatch(text) else None

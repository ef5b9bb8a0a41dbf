"""The image factory's ids of schematics: asked once for each content, then known for good.

    factory = ImageFactory(base_url, SchematicStore(redis, state_dir / "schematics"), locks=redis)
    schematic_id = factory.schematic_id(Schematic(kernel_args, extensions))

Guarantees: an id that was ever known needs no factory, also after a restart and after the loss of Redis. A storm of
equal boots asks once: threads of one process wait for the one that asks, processes wait by a short lock in Redis. A
factory that does not answer costs one question in five seconds, and after the first only one thread that waits; all
others hear at once what it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass

import redis
import structlog

from app.boot.ask_lock import AskLock
from app.boot.errors import BootError, FactoryUnavailable
from app.boot.schematic_request import FACTORY_TIMEOUT_S, SchematicRequest, schematic_yaml
from app.boot.schematic_store import SchematicStore
from app.machine.boot import Schematic
from app.state.parts import note_factory

log = structlog.get_logger()

# A question that failed is not asked again for this long. iPXE is back after a few seconds anyway, and a storm of
# boots would otherwise stand in line, each waiting the full time for the same silence.
FAILURE_KEPT_S = 5.0
# Longer than a question can take, so that the lock ends by itself only where the process that held it died.
_LOCK_S = FACTORY_TIMEOUT_S + 5.0
# Soon enough for a person at the console, and 20 reads a second of one key are nothing to Redis.
_LOCK_POLL_S = 0.05
# Rendered bodies at hand: rendering YAML takes longer than all else of a boot. A site has a handful of contents.
_BODIES_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BootError
    until_s: float

    def again(self) -> BootError:
        """A new exception with the same words: one that is raised in many threads would gather their tracebacks."""
        return type(self.error)(str(self.error))


class ImageFactory:
    """Finds schematic ids. Safe to use from many threads.

    store: keeps the ids.
    ask: asks the factory itself; takes the body, gives the id.
    locks: the Redis in which processes agree on who asks; None where there is one process.
    """

    def __init__(
        self,
        base_url: str,
        store: SchematicStore,
        *,
        ask: Callable[[bytes], str] | None = None,
        locks: redis.Redis | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._store = store
        self._ask = ask or SchematicRequest(base_url)
        self._locks = locks
        self._guard = threading.Lock()
        self._flights: dict[str, Future[str]] = {}
        self._failures: dict[str, _Failure] = {}
        self._bodies: dict[Schematic, tuple[str, bytes]] = {}

    def schematic_id(self, schematic: Schematic) -> str:
        """The id of this schematic. Raises FactoryUnavailable, FactoryRefused."""
        key, body = self._content(schematic)
        known = self._store.known(key)
        if known:
            return known
        with self._guard:
            failure = self._failures.get(key)
            flight = self._flights.get(key)
            if failure and (flight or time.monotonic() < failure.until_s):
                raise failure.again()
            ours = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if ours:
            self._fly(flight, key, body)
        try:
            return flight.result(timeout=_LOCK_S)
        except FutureTimeoutError:
            raise FactoryUnavailable("the image factory has not answered in time") from None
        except BootError as error:
            raise type(error)(str(error)) from None

    def _content(self, schematic: Schematic) -> tuple[str, bytes]:
        """The key and the body. The key holds the factory's address: another factory has not stored our schematics."""
        found = self._bodies.get(schematic)
        if found is None:
            body = schematic_yaml(schematic)
            key = hashlib.sha256(self._base_url.encode() + b"\n" + body).hexdigest()
            if len(self._bodies) >= _BODIES_KEPT:
                self._bodies.clear()
            found = self._bodies[schematic] = (key, body)
        return found

    def _fly(self, flight: Future[str], key: str, body: bytes) -> None:
        """Find the id and tell it, or the failure, to everybody who waits on the flight."""
        failure: _Failure | None = None
        try:
            flight.set_result(self._find(key, body))
        except BootError as error:
            failure = _Failure(error, time.monotonic() + FAILURE_KEPT_S)
            flight.set_exception(error)
        except BaseException as error:  # whatever it is, those who wait must hear of it
            flight.set_exception(error)
            raise
        finally:
            with self._guard:
                self._flights.pop(key, None)
                if failure:
                    self._failures[key] = failure
                else:
                    self._failures.pop(key, None)

    def _find(self, key: str, body: bytes) -> str:
        found = self._store.find(key)
        if found:
            return found
        lock = AskLock(self._locks, key, lifetime_s=_LOCK_S)
        deadline_s = time.monotonic() + FACTORY_TIMEOUT_S
        while not lock.take():
            if time.monotonic() > deadline_s:
                raise FactoryUnavailable("another process has asked the image factory and got no answer in time")
            time.sleep(_LOCK_POLL_S)
        # Another process may have found it between our look and the lock.
        found = self._store.find(key)
        if found:
            lock.release()
            return found
        return self._question(lock, key, body)

    def _question(self, lock: AskLock, key: str, body: bytes) -> str:
        began_s = time.monotonic()
        try:
            schematic_id = self._ask(body)
        except BootError as error:
            lock.fail(error, FAILURE_KEPT_S)
            self._tell(str(error))
            log.warning("image_factory_failed", error=str(error), took_s=round(time.monotonic() - began_s, 3))
            raise
        except BaseException:
            lock.release()
            raise
        self._store.keep(key, schematic_id)
        lock.release()
        self._tell("")
        log.info("schematic_created", schematic_id=schematic_id, took_s=round(time.monotonic() - began_s, 3))
        return schematic_id

    def _tell(self, trouble: str) -> None:
        """Have it told in Omni that the factory fails, or answers again."""
        if self._locks is not None:
            with contextlib.suppress(redis.RedisError):
                note_factory(self._locks, trouble)

"""Keeps the leases of running tasks alive, and tells a task when it may not act any more.

One thread per worker process renews every lease each 10 s. Before each act a task calls `Guard.check()`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
import structlog

from app.state.lease import LEASE_MS, RENEW_EVERY_S, Lease, Leases, Renewal

log = structlog.get_logger()


class LeaseLost(Exception):
    """Another operation of the machine may have begun: stop before the next act."""


class DecideAnew(Exception):
    """What was decided before may not hold.

    The lease vanished (Redis was emptied) and was taken again, or it is long ago and Omni wants something else now.
    """


class Guard:
    """The standing of one lease."""

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self._leases = leases
        self.lease = lease
        self.look_again_s = 0.0
        self._renewed_s = time.monotonic()
        self._lost = False
        self._retaken = False
        self._ended = False
        self._lock = threading.Lock()

    def check(self) -> None:
        """Go on only if the lease is ours and was so all the time. Raises LeaseLost, DecideAnew."""
        self.check_still_ours()
        if self._retaken:
            self._retaken = False
            raise DecideAnew

    def check_still_ours(self) -> None:
        """Record what was done only if no higher number was given out. Raises LeaseLost."""
        try:
            highest = self._leases.fence(self.lease.machine_id)
        except redis.RedisError as error:
            raise LeaseLost("Redis cannot say whether the lease still stands") from error
        if highest > self.lease.fence:
            self._lost = True
            raise LeaseLost("a later operation has taken the machine")
        # Asked after the answer: where the host stood still meanwhile, that is from before.
        if self._lost or time.monotonic() - self._renewed_s > LEASE_MS / 1000:
            raise LeaseLost("the lease on the machine was lost")

    def renew(self) -> None:
        """Renew once. A Redis that does not answer leaves the lease as it is until its time is over."""
        with self._lock:  # a renewal after the end would take the lease anew, with nobody to give it back
            if not self._ended:
                self._renew()

    def end(self) -> None:
        """Give the lease back, and have the machine looked at in `look_again_s`."""
        with self._lock:
            self._ended = True
            try:
                self._leases.give_back(self.lease, self.look_again_s)
            except redis.RedisError:
                log.warning("lease_not_given_back", machine_id=self.lease.machine_id)  # it ends by itself within 30 s

    def _renew(self) -> None:
        asked_s = time.monotonic()
        try:
            renewal = self._leases.renew(self.lease)
        except redis.RedisError as error:
            log.warning("lease_not_renewed", machine_id=self.lease.machine_id, error=type(error).__name__)
            return
        if renewal is Renewal.LOST:
            self._lost = True
            return
        self._renewed_s = asked_s
        self._retaken = self._retaken or renewal is Renewal.RETAKEN


class LeaseKeeper:
    """Renews the leases of a process."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._guards: set[Guard] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, lease: Lease) -> Iterator[Guard]:
        """Keep a lease that was just taken, and give it back at the end."""
        guard = Guard(self._leases, lease)
        with self._lock:
            self._guards.add(guard)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()
        try:
            yield guard
        finally:
            with self._lock:
                self._guards.discard(guard)
            guard.end()

    def _run(self) -> None:
        while True:
            time.sleep(RENEW_EVERY_S)
            with self._lock:
                guards = list(self._guards)
            for guard in guards:
                guard.renew()

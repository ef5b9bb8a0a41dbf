"""The worker processes: one queue each, with the pool that was measured best for it."""

from __future__ import annotations

import contextlib
import socket
import warnings
from typing import Any

import redis
from celery.apps.worker import Worker, install_worker_term_handler
from celery.exceptions import SecurityWarning
from celery.signals import heartbeat_sent

from app.alive import Sign
from app.state.connection import connect
from app.state.parts import note_worker
from config import interpreter
from config.celery import QUEUE_BMC, QUEUE_POLL, QUEUE_WIPE
from config.settings import Settings
from workers import services
from workers.celery_app import app, configure

# A wipe waits for minutes to a day, so a thread each; BMC commands wait for the network, so a greenlet each.
POOLS = {
    QUEUE_BMC: ("gevent", 100),
    QUEUE_POLL: ("gevent", 250),
    QUEUE_WIPE: ("threads", 1000),
}


class QuietWorker(Worker):  # type: ignore[misc]  # Celery has no type hints
    """Celery's worker, which else writes a line of its own, that is no JSON, when it is told to end."""

    def install_platform_tweaks(self, worker: Any) -> None:
        """Set up what is done at each signal."""
        super().install_platform_tweaks(worker)
        install_worker_term_handler(worker, verbose=False)


def run(settings: Settings, queue: str) -> None:
    """Work on a queue until SIGTERM. Tasks that run are waited for."""
    # Root in a container of its own is nothing to warn of: tasks carry JSON only.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    interpreter.tune()
    configure(settings)
    services.use(None, settings)
    sign, client = Sign(settings, f"worker-{queue}"), connect(settings)

    def show(**_: object) -> None:
        if sign.show():
            with contextlib.suppress(redis.RedisError):
                note_worker(client, queue, socket.gethostname())

    heartbeat_sent.connect(show, weak=False)  # sent while the broker is connected, and only then
    pool, concurrency = POOLS[queue]
    argv = [
        "--quiet",
        "worker",
        f"--queues={queue}",
        f"--pool={pool}",
        f"--concurrency={concurrency}",
        f"--hostname={queue}@{socket.gethostname()}",
        "--loglevel=WARNING",
        "--without-gossip",
        "--without-mingle",
    ]
    app.Worker = app.subclass_with_self(QuietWorker)
    app.worker_main(argv)

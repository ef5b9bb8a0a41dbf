"""The Celery application. Its broker is the Redis of `OMNI_METAL_REDIS_URL`, or of `configure()`."""

from __future__ import annotations

import os

from celery import Celery

from config.celery import CELERY, broker_url
from config.settings import Settings
from workers import transport
from workers.events import BatchedEvents

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"

transport.use()
app = Celery(
    "omni-metal",
    task_cls="workers.request:LastingTask",
    include=[
        "workers.bmc_reading",
        "workers.bmc_setup",
        "workers.power",
        "workers.reboot",
        "workers.pxe_arm",
        "workers.record",
        "workers.teardown",
        "workers.wipe",
        "workers.poll",
    ],
)
app.config_from_object(CELERY)


app.steps["consumer"].add(BatchedEvents)


def use_redis(redis_url: str) -> None:
    """Use this Redis as broker and result store."""
    app.conf.update(broker_url=broker_url(redis_url), result_backend=broker_url(redis_url))


def configure(settings: Settings, *, results: bool = True) -> None:
    """Use the Redis of these settings.

    results: False for a process that only sends: Celery would subscribe to the result of each task that it sends.
    """
    use_redis(settings.redis_url)
    if not results:
        app.conf.update(result_backend="disabled://")


use_redis(os.environ.get("OMNI_METAL_REDIS_URL") or DEFAULT_REDIS_URL)

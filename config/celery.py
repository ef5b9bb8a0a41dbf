"""Celery's settings, each as it was found to be needed by trial (docs/adr has the decisions)."""

from __future__ import annotations

from typing import Any

# A task that a dead worker held is delivered again after this; the machine's lease makes a second delivery harmless.
VISIBILITY_TIMEOUT_S = 300
# Results are of interest to the person who looks at them; history and attempts are kept elsewhere.
RESULT_EXPIRES_S = 86_400
# A worker that cannot publish within this says so; the watcher comes back to the machine.
PUBLISH_TIMEOUT_S = 5

QUEUE_BMC = "bmc"
QUEUE_WIPE = "wipe"
QUEUE_POLL = "poll"

CELERY: dict[str, Any] = {
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_default_queue": QUEUE_BMC,
    "result_backend_always_retry": True,
    "result_backend_thread_safe": True,
    "result_extended": True,
    "task_store_errors_even_if_ignored": True,
    "result_expires": RESULT_EXPIRES_S,
    "worker_prefetch_multiplier": 1,
    # After a lost connection Celery (5.6.3) counts the greenlets that run just then for the size of a gevent pool, and
    # takes one task at a time from then on.
    "worker_enable_prefetch_count_reduction": False,
    "worker_send_task_events": True,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": PUBLISH_TIMEOUT_S,
        "socket_connect_timeout": PUBLISH_TIMEOUT_S,
    },
    "redis_socket_timeout": PUBLISH_TIMEOUT_S,
    "redis_socket_connect_timeout": PUBLISH_TIMEOUT_S,
    "timezone": "UTC",
}


def broker_url(redis_url: str) -> str:
    """The URL of a Redis as Celery's transport spells it: `unix:///p` is `redis+socket:///p` there."""
    if redis_url.startswith("unix://"):
        path, _, query = redis_url.removeprefix("unix://").partition("?")
        database = query.removeprefix("db=") if query.startswith("db=") else ""
        return f"redis+socket://{path}" + (f"?virtual_host={database}" if database else "")
    return redis_url

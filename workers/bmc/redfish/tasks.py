"""Waiting for what a BMC has taken and not done yet: 202, with the place of a task."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests

from workers.bmc.errors import BmcAuthenticationFailed, BmcError
from workers.bmc.redfish.service import Document, Service
from workers.bmc.redfish.system import text_at

# A reset takes seconds; who waits for its power state reads that back afterwards anyway.
TASK_WITHIN_S = 30.0
TASK_PAUSE_S = 1.0
_ACCEPTED: Final = 202
_FAILED: Final = {"Exception", "Killed", "Cancelled", "Interrupted"}
_UNDER_WAY: Final = {"New", "Pending", "Service", "Starting", "Running", "Stopping", "Suspended"}


def await_task(service: Service, response: requests.Response) -> None:
    """Return when the task that an answer names is done, gone, or takes too long: its effect is read back by others.

    Raises:
        BmcRefused: the BMC took it and then failed to do it.
        BmcAuthenticationFailed: nobody knows what became of it.
    """
    place = response.headers.get("Location", "")
    if response.status_code != _ACCEPTED or not place:
        return
    path = urlsplit(urljoin(response.url, place)).path  # some name themselves by a name that only they know
    deadline_s = time.monotonic() + TASK_WITHIN_S
    while time.monotonic() < deadline_s:
        task = _look(service, path)
        if task is None:
            return
        state = text_at(task.content, "TaskState")
        if state in _FAILED:
            raise service.refused(f"took the order and ended its task as {state}", executed=None)
        if state not in _UNDER_WAY and not (task.pending and not state):
            return
        time.sleep(TASK_PAUSE_S)


def _look(service: Service, path: str) -> Document | None:
    """The task; None where it cannot be read, as some BMCs forget a task as soon as it is done."""
    try:
        return service.find(path)
    except BmcAuthenticationFailed as error:
        error.executed = None
        raise
    except BmcError:
        return None

"""What a person orders at the command line: the machine is found, the task is sent, and what came of it is told."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Final

import redis

from app.console import FAILED, no_redis, tell
from app.machine.model import OperationName
from app.machine.verbs import Verb
from app.state.connection import connect
from app.state.history import History
from app.state.lease import Leases
from app.state.mirror import Mirror
from app.state.mirror_reader import MirrorUnreadable
from app.state.parts import live_workers
from app.state.secrets import sealer
from config.settings import Settings
from workers.enqueue import TASKS, QueueUnavailable, order

# Fewer would name a machine by chance.
SHORTEST_BEGINNING: Final = 4
LOOK_S: Final = 0.1
# Where Celery's Redis backend keeps what a task has ended with.
CELERY_RESULT: Final = "celery-task-meta-"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task has ended: `done`, `failed` or `skipped`, and what it says."""

    outcome: str
    words: str


def give(settings: Settings, machine: str, verb: Verb, wait_s: float) -> int:
    """Give an order for the machine whose id begins so, and follow it for so long (0 = not at all).

    Returns the exit status: 0 where it was done or runs, 1 where nothing was begun or it failed.
    """
    client = connect(settings)
    try:
        client.ping()  # before anything is made in a state directory that is not the right one
        machine_id = _find(Mirror(client, sealer(settings)), machine.lower())
        if machine_id is None:
            return FAILED
        result = order(settings, client, machine_id, verb, "command line")
        if result.asks_again:
            _say(result.skipped)
            return 0
        if not result.started:
            tell(f"nothing was started: {result.skipped}")
            return FAILED
        _say(f"started: {', '.join(result.started)}")
        return _follow(client, machine_id, result.started[0], result.task_ids[0], wait_s) if wait_s else 0
    except MirrorUnreadable as error:
        tell(str(error))
        return FAILED
    except (redis.RedisError, QueueUnavailable) as error:
        return no_redis(settings, error)


def _find(mirror: Mirror, beginning: str) -> str | None:
    """The machine that is meant; where there is none, or not one alone, that is said."""
    found = sorted(machine_id for machine_id in mirror.machine_ids() if machine_id.startswith(beginning))
    if beginning in found:
        return beginning
    if len(beginning) < SHORTEST_BEGINNING:
        tell(f"{beginning!r} is too short: name the machine's id, or at least {SHORTEST_BEGINNING} characters of it")
    elif not found:
        tell(f"there is no machine {beginning}; see omni-metal machines")
    elif len(found) > 1:
        tell("\n  ".join((f"{beginning} is the beginning of {len(found)} machines, name one of them:", *found)))
    else:
        return found[0]
    return None


def _follow(client: redis.Redis, machine_id: str, operation: str, task_id: str, wait_s: float) -> int:
    deadline_s = time.monotonic() + wait_s
    while True:
        lease = Leases(client).current(machine_id)  # read first: what runs no more has ended by the next line
        ended = _ended(client, machine_id, task_id)
        if ended is not None:
            return _report(operation, ended)
        if time.monotonic() >= deadline_s:
            break
        time.sleep(LOOK_S)
    if lease is not None and lease.task_id == task_id:
        _say(f"{operation} runs; see omni-metal machines")
        return 0
    words = f"no worker has begun {operation} within {wait_s:g} s; it is queued, and done when one does"
    tell(words + _why(client, operation))
    return FAILED


def _why(client: redis.Redis, operation: str) -> str:
    """What is to be done where there is no worker for it at all."""
    queue = TASKS[OperationName(operation)].queue
    if any(name.startswith(f"{queue}@") for name in live_workers(client)):
        return ""
    return f". None takes tasks of the queue {queue}: start `omni-metal worker {queue}`"


def _ended(client: redis.Redis, machine_id: str, task_id: str) -> Ended | None:
    """What the history says of the task, or else Celery, which alone knows of one that broke before it began."""
    entry = next((e for e in History(client).read(machine_id) if e.task_id == task_id), None)
    if entry is not None:
        return Ended(entry.outcome, entry.words)
    text = client.get(CELERY_RESULT + task_id)
    if text is None:
        return None
    kept = json.loads(text)
    status, result = kept["status"], kept["result"]
    if status == "SUCCESS":
        skipped, words = str(result).startswith("skipped: "), str(result).removeprefix("skipped: ")
        return Ended("skipped" if skipped else "done", words)
    if status in ("FAILURE", "REVOKED"):
        cause = result.get("exc_message", "") if isinstance(result, dict) else result
        return Ended("failed", " ".join(map(str, cause)) if isinstance(cause, list) else str(cause))
    return None


def _report(operation: str, ended: Ended) -> int:
    if ended.outcome == "done":
        _say(f"done: {ended.words}")
        return 0
    tell(f"{operation} {'was skipped' if ended.outcome == 'skipped' else ended.outcome}: {ended.words}")
    return FAILED


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output

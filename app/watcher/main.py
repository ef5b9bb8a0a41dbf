"""The watcher process: stand by, take the lead, and be the active watcher until told to stop."""

from __future__ import annotations

import signal
import threading

import redis
import structlog

from app.alive import Sign
from app.omni.connect import connect_omni
from app.state.connection import connect
from app.watcher.leader import Leadership
from app.watcher.loop import SECOND_S, TICK_S, Watcher
from config import interpreter
from config.settings import Settings
from workers.enqueue import use_queue

log = structlog.get_logger()

# A standby takes over within this and the life of the lock, which is 10 s.
STANDBY_S = 2.0


def run(settings: Settings) -> None:
    """Watch until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    interpreter.tune()
    interpreter.share_one_heap()
    client = connect(settings)
    use_queue(settings)
    omni = connect_omni(settings)
    leadership, sign = Leadership(client), Sign(settings, "watcher")
    while not stopping.is_set():
        sign.show()
        try:
            if leadership.claim():
                _lead(Watcher(settings, client, omni), leadership, stopping, sign)
                continue
        except redis.RedisError as error:
            log.debug("no_lead", error=type(error).__name__)
        stopping.wait(STANDBY_S)
    omni.close()


def _lead(watcher: Watcher, leadership: Leadership, stopping: threading.Event, sign: Sign) -> None:
    """Be the active watcher until told to stop, or until another one is."""
    log.info("watcher_active")
    watcher.start()
    away = False
    try:
        while not stopping.is_set():
            sign.show()
            try:
                if not leadership.claim():
                    log.warning("another_watcher_is_active")
                    return
                if not watcher.tick():
                    stopping.wait(TICK_S)
                away = False
            except redis.RedisError as error:
                log.debug("round_broken_off", error=type(error).__name__)
                if not away:
                    watcher.redis_away()
                away = True
                if leadership.expired():
                    return  # another watcher may be active by now
                stopping.wait(SECOND_S)
    finally:
        watcher.stop()
        try:
            leadership.release()
        except redis.RedisError:
            log.info("lead_not_given_back")

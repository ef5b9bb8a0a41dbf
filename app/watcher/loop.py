"""The active watcher: it follows Omni, keeps the mirror whole, and looks at machines as their alarms go off."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import redis
import structlog

from app.omni.client import Omni
from app.omni.errors import AccountRefused, OmniError, OmniUnavailable
from app.state.agents import ENTRY_MS, agent_key
from app.state.boots import Boots
from app.state.clock import cut_lifetimes
from app.state.deciding import publish_options
from app.state.lease import LEASE_MS, longest_lives_ms
from app.state.mirror import Mirror
from app.state.mirror_keys import FRESH, QUARANTINE
from app.state.secrets import sealer
from app.state.wake import Alarms
from app.watcher.authority import AuthorityKeeper
from app.watcher.echoes import Echoes
from app.watcher.follow import COMPARE_EVERY_S, Followers
from app.watcher.look import NOT_NOW_S, Looker
from app.watcher.lost import find_lost_records
from app.watcher.plan import Plan
from app.watcher.problem import Problem
from app.watcher.provider import Provider
from app.watcher.standing import Standing
from app.watcher.strangers import Strangers
from app.watcher.tracking import Tracking
from config.settings import Settings

log = structlog.get_logger()

# An alarm is at most this late.
TICK_S = 0.05
SECOND_S = 1.0
# Whatever an event should have told and did not is found out by looking at every machine this often.
RESYNC_S = 30.0
# Omni answers in milliseconds, so a few calls at a time keep it busy; machines wait their turn.
LOOKS_AT_A_TIME = 8
# What cannot be read now, or is refused, will not be otherwise a second later; it is said once a minute.
UNREADABLE_S = 60.0
BATCH = 200
# Each holds all that is known of a machine. So many keep the threads busy for longer than a tick; others wait in Redis.
MOST_LOOKS = 400


class Watcher:
    """The active watcher."""

    def __init__(self, settings: Settings, client: redis.Redis, omni: Omni) -> None:
        self._redis, self._omni = client, omni
        self._settings = settings
        self._mirror = Mirror(client, sealer(settings))
        self._alarms = Alarms(client)
        echoes = Echoes()
        self._followers = Followers(omni, self._mirror, self._alarms, echoes)
        self._looker = Looker(settings, client, omni, self._mirror, echoes)
        self._provider = Provider(settings, client, omni, self._mirror)
        self._authority = AuthorityKeeper(settings, omni, self._mirror)
        self._standing = Standing(client, self._followers, self._provider)
        self._tracking = Tracking(client)
        self._boots = Boots(client)
        self._strangers = Strangers(self._mirror, self._boots)
        self._pool = ThreadPoolExecutor(LOOKS_AT_A_TIME, thread_name_prefix="look")
        self._looking: set[str] = set()
        self._lock = threading.Lock()
        self._second_s = self._resync_s = self._compare_s = 0.0
        self._announced = False
        self._build = self._run_id = ""
        self._leases_kept = False

    def start(self) -> None:
        """Begin to follow Omni."""
        if not self._mirror.complete():
            # It may be days old. The leases that stand are as good as ever, if any do: Redis was not emptied.
            self._leases_kept = self._mirror.was_complete()
            self._mirror.invalidate()
            self._boots.lost()  # another provider may have booted machines meanwhile
            self._build = self._mirror.begin_build()
        self._followers.start()

    def stop(self) -> None:
        """End it; looks that run are finished."""
        self._provider.stop()
        self._followers.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def redis_away(self) -> None:
        """Redis does not answer: Omni is to know before the lead is lost, and the heartbeats end with it."""
        self._provider.beat_now()

    def tick(self) -> bool:
        """One round. False: there was nothing to do. Raises `redis.RedisError`."""
        now_s = time.monotonic()
        if now_s - self._second_s >= SECOND_S:
            self._second_s = now_s
            self._each_second()
        if not self._announced or not self._standing.connected() or not self._mirror.complete():
            return False
        if now_s - self._resync_s >= RESYNC_S:
            self._resync_s = now_s
            self._resync()
        return self._look_around()

    # Keeping house

    def _resync(self) -> None:
        machine_ids = self._mirror.machine_ids()
        agents = {agent_key(machine_id): ENTRY_MS for machine_id in machine_ids}
        cut_lifetimes(self._redis, {QUARANTINE: LEASE_MS, **longest_lives_ms(machine_ids), **agents})
        self._alarms.wake(*machine_ids)
        self._standing.only(machine_ids)

    def _each_second(self) -> None:
        self._tracking.update()
        self._look_for_a_restart()
        self._mirror.keep_watched()
        publish_options(self._redis, self._settings)
        try:
            problem = self._keep_connected()
        except OmniError as error:
            problem = Problem.of(error)
        self._standing.tell(problem, announced=self._announced, tls_problem=self._authority.problem)

    def _look_for_a_restart(self) -> None:
        """A Redis that was restarted, or another one in its place, may have lost the latest of the mirror."""
        try:
            run_id = str(self._redis.info("server").get("run_id", ""))
        except redis.ResponseError:  # as from one that somebody else runs for us
            return
        if self._run_id and run_id != self._run_id:
            log.warning("redis_restarted", effect="all is read from Omni again")
            self._followers.rebuild()
            self._boots.lost()
        self._run_id = run_id

    def _keep_connected(self) -> Problem | None:
        """What keeps us from acting. Raises OmniError."""
        if not self._announced:
            other = self._provider.other_alive()
            if other:
                self._mirror.invalidate()  # no task of ours may begin either
                return other
            self._announce()
        if not self._mirror.complete():
            self._fill_mirror()
        self._followers.compare()
        self._authority.retry()
        if time.monotonic() - self._compare_s > COMPARE_EVERY_S:
            self._compare_s = time.monotonic()
            self._authority.refresh()
            self._strangers.show_out(self._omni)
        return None

    def _announce(self) -> None:
        self._provider.announce()
        self._authority.refresh()
        self._provider.keep_beating()
        self._announced = True
        self._compare_s = time.monotonic()

    def _fill_mirror(self) -> None:
        """The complete mark is missing: the first start, or Redis was emptied, maybe amid a rebuild."""
        if not self._mirror.being_built(self._build):
            self._build, self._leases_kept = self._mirror.begin_build(), False
            self._followers.rebuild()
            return
        if not self._followers.established():
            return
        find_lost_records(self._omni, self._mirror)
        self._provider.refresh_join_config()
        self._authority.refresh()
        fresh = bool(self._redis.delete(FRESH))
        quarantine_ms = 0 if fresh or self._leases_kept else LEASE_MS
        if not self._mirror.mark_complete(self._build, quarantine_ms):
            return
        self._alarms.wake(*self._mirror.machine_ids())
        self._resync_s = time.monotonic() - RESYNC_S + quarantine_ms / 1000
        log.info("mirror_complete", quarantine_ms=quarantine_ms)

    # Looking

    def _look_around(self) -> bool:
        with self._lock:
            if len(self._looking) >= MOST_LOOKS:
                return False
        due = self._alarms.take(BATCH)
        with self._lock:
            again = [m for m in due if m in self._looking]
        ids = [m for m in due if m not in again]
        self._alarms.wake(*again, after_s=TICK_S)
        for machine_id, plan in zip(ids, self._plans(ids), strict=True):
            if plan is None:
                self._alarms.wake(machine_id, after_s=UNREADABLE_S)
                continue
            if self._looker.idle(plan):
                self._standing.goes_on(machine_id)
                continue
            with self._lock:
                self._looking.add(machine_id)
            self._pool.submit(self._look, plan)
        return len(due) == BATCH

    def _plans(self, machine_ids: list[str]) -> list[Plan | None]:
        """What to do about these machines; None where one cannot be read. Raises `redis.RedisError`."""
        try:
            return [self._looker.plan(sight) for sight in self._looker.see(machine_ids)] if machine_ids else []
        except redis.RedisError:
            raise
        except Exception:  # the outer edge: one unreadable machine must not stop the others
            if len(machine_ids) == 1:
                log.exception("machine_unreadable", machine_id=machine_ids[0])
                return [None]
        return [plan for machine_id in machine_ids for plan in self._plans([machine_id])]

    def _look(self, plan: Plan) -> None:
        machine_id = plan.machine.id
        try:
            self._looker.look(plan)
            self._standing.goes_on(machine_id)
        except (AccountRefused, OmniUnavailable) as error:
            log.info("look_failed", machine_id=machine_id, code=error.code, error=str(error))
            self._provider.beat_now()  # to know soon whether this holds for all machines
            self._wake_later(machine_id)
        except OmniError as error:
            log.warning("look_failed", machine_id=machine_id, code=error.code, error=str(error), remedy=error.hint)
            if error.lasting:
                self._standing.stuck(machine_id, Problem.of(error))
            self._wake_later(machine_id, UNREADABLE_S if error.lasting else NOT_NOW_S)
        except redis.RedisError as error:
            log.warning("look_failed", machine_id=machine_id, error=str(error))
            self._wake_later(machine_id)
        except Exception:  # the outer edge: one machine must not stop the others
            log.exception("look_broke", machine_id=machine_id)
            self._wake_later(machine_id)
        finally:
            with self._lock:
                self._looking.discard(machine_id)

    def _wake_later(self, machine_id: str, after_s: float = NOT_NOW_S) -> None:
        try:
            self._alarms.wake(machine_id, after_s=after_s)
        except redis.RedisError:
            return  # the resync finds it

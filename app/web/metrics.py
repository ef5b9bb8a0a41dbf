"""`/metrics`: what Prometheus is told, all of it read from Redis when it asks (docs/metrics.md lists it)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import redis
from flask import Blueprint, Response
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from app import __version__
from app.machine.model import BootMode, OperationName
from app.state import metrics
from app.state.health import Health, live_gateways
from app.state.health import health as read_health
from app.state.metrics import BUCKETS_S, Counted
from app.state.mirror_reader import MirrorUnreadable
from app.state.view import PHASES, MachineView
from app.web.boot import HELD_BACK, REFUSED
from app.web.services import Services

# To decide for a thousand machines takes a third of a second, which several scrapers should not have done anew.
FLEET_HELD_S: Final = 10.0
OUTCOMES: Final = ("done", "failed", "skipped")
BOOT_DECISIONS: Final = (*(mode.value for mode in BootMode), REFUSED, HELD_BACK)


def blueprint(services: Services) -> Blueprint:
    """The one route. Who may ask is decided before (see `access`)."""
    routes = Blueprint("metrics", __name__)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SiteCollector(services))

    @routes.get("/metrics")
    def told() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return routes


class SiteCollector(Collector):
    """Reads everything anew for each scrape, the fleet at most every few seconds."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._views: list[MachineView] = []
        self._viewed_s = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """All metrics; where Redis does not answer, that alone."""
        yield _gauge("build_info", "The version that runs.", {(__version__,): 1}, "version")
        try:
            counted = metrics.read(self._services.redis, int(time.time() * 1000))
            found, gateways = read_health(self._services.redis), live_gateways(self._services.redis)
            views = self._fleet()
        except (redis.RedisError, MirrorUnreadable):
            yield _gauge("redis_up", "Whether Redis answers and can be read.", {(): 0})
            return
        yield _gauge("redis_up", "Whether Redis answers and can be read.", {(): 1})
        yield from _of_parts(found)
        yield from _of_fleet(views)
        yield from _of_operations(counted)
        yield from _of_queues(counted)
        yield from _of_sweep(counted)
        tunnels = sum(counted.tunnels.get(gateway, 0) for gateway in gateways)
        yield _gauge("tunnels", "Agents whose tunnel is open.", {(): tunnels})
        words = "Tunnels that agents opened without TLS although it is served."
        yield _counter("tunnels_without_tls", words, {(): counted.without_tls})
        words = "Second tunnels of machines that were refused, since the agent at the first one answered."
        yield _counter("tunnels_refused", words, {(): counted.tunnels_refused})
        words = "Requests that were too many from one address."
        yield _counter("boots_rate_limited", words, {(): counted.rate_limited})
        words = "How often the machine configuration was refused."
        yield _counter("config_refused", words, {(): counted.config_refused})
        boots = {decision: counted.boots.get(decision, 0) for decision in BOOT_DECISIONS}
        yield _counter("boots", "Boot scripts asked for, by what was decided.", _by_one(boots), "decision")

    def _fleet(self) -> list[MachineView]:
        with self._lock:
            if time.monotonic() - self._viewed_s > FLEET_HELD_S:
                self._views, self._viewed_s = self._services.views.all(), time.monotonic()
            return self._views


def _of_parts(found: Health) -> Iterator[Metric]:
    yield _gauge("watcher_alive", "Whether a watcher leads.", {(): found.watcher_alive})
    yield _gauge("omni_connected", "Whether the watcher follows Omni.", {(): found.omni_connected})
    yield _gauge("mirror_complete", "Whether the mirror of Omni is complete.", {(): found.mirror_complete})
    yield _gauge("gateways", "Agent gateways that are alive.", {(): found.gateways})
    words = "How long the latest changes took from Omni to the mirror, by both clocks; 0 while nothing changes."
    yield _gauge("watch_lag_seconds", words, {(): found.watch_lag_s})
    words = "Since when the kind of resource that waited longest has not been compared whole with Omni."
    yield _gauge("watch_compared_age_seconds", words, {(): found.compared_ago_s})


def _of_fleet(views: Iterable[MachineView]) -> Iterator[Metric]:
    phases, failed, parked, troubles = Counter[str](), Counter[str](), Counter[str](), Counter[bool]()
    waiting = 0
    for view in views:
        waiting += bool(view.waits)
        phases[view.phase] += 1
        if view.bmc_trouble is not None:
            troubles[view.bmc_trouble.refused] += 1
        for attempt in view.attempts:
            failed[attempt.operation] += attempt.count
            parked[attempt.operation] += attempt.parked
    yield _gauge("machines", "Machines by phase.", _by_one({phase: phases[phase] for phase in PHASES}), "phase")
    names = [name.value for name in OperationName]
    words = "Failed attempts at operations that are still due."
    yield _gauge("attempts_failed", words, _by_one({name: failed[name] for name in names}), "operation")
    words = "Operations that are parked: they wait for a person, or for their next try in a while."
    yield _gauge("operations_parked", words, _by_one({name: parked[name] for name in names}), "operation")
    words = "Machines whose power is not known because of their BMC: it refuses the login, or cannot be read."
    kinds = {"login-refused": troubles[True], "unreadable": troubles[False]}
    yield _gauge("bmc_trouble", words, _by_one(kinds), "why")
    yield _gauge("power_turns_waiting", "Machines that wait for their turn to draw power.", {(): waiting})


def _of_operations(counted: Counted) -> Iterator[Metric]:
    known: dict[tuple[str, ...], float] = {(name.value, outcome): 0 for name in OperationName for outcome in OUTCOMES}
    words = "Attempts at operations, by how they ended."
    yield _counter("operations", words, {**known, **counted.operations}, "operation", "outcome")
    family = HistogramMetricFamily(
        "omni_metal_operation_duration_seconds",
        "How long attempts took that were made, from the lease on.",
        labels=["operation"],
    )
    limits = [*(f"{limit_s:g}" for limit_s in BUCKETS_S), "+Inf"]
    for operation, duration in sorted(counted.durations.items()):
        family.add_metric([operation], list(zip(limits, duration.buckets, strict=True)), sum_value=duration.total_s)
    yield family


def _of_queues(counted: Counted) -> Iterator[Metric]:
    depths = {name: queue.depth for name, queue in counted.queues.items()}
    yield _gauge("queue_depth", "Tasks that no worker has taken yet.", _by_one(depths), "queue")
    ages = {name: queue.oldest_s for name, queue in counted.queues.items() if queue.oldest_s is not None}
    yield _gauge("queue_oldest_age_seconds", "How long the first of them waits.", _by_one(ages), "queue")


def _of_sweep(counted: Counted) -> Iterator[Metric]:
    if counted.sweep is None:
        return
    yield _gauge("sweep_duration_seconds", "How long the last reading of all BMCs took.", {(): counted.sweep.took_s})
    yield _gauge("sweep_age_seconds", "How long ago it ended.", {(): counted.sweep.ended_ago_s})
    yield _gauge("bmc_unread", "Machines whose power it could not read.", {(): counted.sweep.unread})
    words = "Machines that it left out since somebody else uses their BMC, and reads it."
    yield _gauge("bmc_in_use", words, {(): counted.sweep.in_use})
    words = "Machines that it left out since their BMC has failed before, and is asked now and then only."
    yield _gauge("bmc_put_off", words, {(): counted.sweep.put_off})


def _by_one(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in values.items()}


def _gauge(name: str, words: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    family = GaugeMetricFamily(f"omni_metal_{name}", words, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, float(value))
    return family


def _counter(name: str, words: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    family = CounterMetricFamily(f"omni_metal_{name}", words, labels=labels)
    for label_values, value in sorted(values.items()):
        family.add_metric(label_values, float(value))
    return family

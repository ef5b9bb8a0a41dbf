"""The clock of the power sweep."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from celery.beat import Scheduler
from celery.schedules import schedule

from app.alive import Sign
from config.settings import Settings
from workers.celery_app import app, configure

# Between two signs of life, however far apart the sweeps are.
LONGEST_SLEEP_S = 15.0


class SteadyInterval(schedule):  # type: ignore[misc]  # Celery has no type hints
    """An interval by the monotonic clock: Celery's own would rest for an hour when the clock is put back by one."""

    def __init__(self, interval_s: float) -> None:
        super().__init__(timedelta(seconds=interval_s), app=app)
        self._last: datetime | None = None
        self._began_s = 0.0

    def remaining_estimate(self, last_run_at: datetime) -> Any:
        """What is left of the interval that began when this last run was first asked about."""
        if last_run_at != self._last:
            self._last, self._began_s = last_run_at, time.monotonic()
        return self.run_every - timedelta(seconds=time.monotonic() - self._began_s)


def run(settings: Settings) -> None:
    """Enqueue a sweep each `--power-poll-interval` until SIGTERM. The poll worker drops those that pile up."""
    configure(settings)
    interval_s = settings.power_poll_interval_s
    app.conf.beat_schedule = {
        "power-sweep": {
            "task": "power_sweep",
            "schedule": SteadyInterval(interval_s),
            "options": {"queue": "poll"},
        }
    }
    sign = Sign(settings, "beat")

    class Clock(Scheduler):  # type: ignore[misc]  # Celery has no type hints
        """In memory, since there is one entry and nothing to remember. It shows that it ticks."""

        def tick(self, *args: Any, **kwargs: Any) -> Any:
            sign.show()
            return super().tick(*args, **kwargs)

    app.conf.beat_scheduler = Clock
    app.conf.beat_max_loop_interval = max(1.0, min(interval_s / 2, LONGEST_SLEEP_S))
    app.Beat(loglevel="WARNING", quiet=True).run()

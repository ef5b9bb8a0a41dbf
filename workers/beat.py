"""The clock of the power sweep."""

from __future__ import annotations

from config.settings import Settings
from workers.celery_app import app, configure


def run(settings: Settings) -> None:
    """Enqueue a sweep each `--power-poll-interval` until SIGTERM. The poll worker drops those that pile up."""
    configure(settings)
    interval_s = settings.power_poll_interval_s
    app.conf.beat_schedule = {
        "power-sweep": {
            "task": "power_sweep",
            "schedule": interval_s,
            "options": {"queue": "poll"},
        }
    }
    app.conf.beat_scheduler = "celery.beat:Scheduler"  # in memory: there is one entry, and nothing to remember
    app.conf.beat_max_loop_interval = max(1.0, min(interval_s / 2, 30.0))
    app.Beat(loglevel="WARNING", quiet=True).run()

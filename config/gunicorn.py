"""How gunicorn serves `app.web.wsgi:application` behind the public port's splice (`gunicorn -c config/gunicorn.py`).

The names are gunicorn's own settings. Nothing of ours is imported before the fork but the settings: neither Redis
connections nor gRPC threads survive one.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from gunicorn import glogging

from config import logs, web_threads
from config.settings import load

_settings = load(json.loads(os.environ.get("OMNI_METAL_ARGV", "[]")), os.environ)


class StructuredLogger(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Sends gunicorn's own words through our structured logs instead of its format."""

    def setup(self, cfg: object) -> None:
        """Called by gunicorn in the arbiter, and again where it reloads."""
        super().setup(cfg)
        logs.configure(_settings.debug, "web")
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(logging.DEBUG if _settings.debug else logging.WARNING)


wsgi_app = "app.web.wsgi:application"
bind = [f"unix:{_settings.run_dir / 'web.sock'}"]
# The folder is 0700 already; the socket itself must not be wider.
umask = 0o077
# More than a rack of machines that boots in one second.
backlog = 2048

worker_class = "app.web.worker.BootWorker"
workers = _settings.web_workers
threads = web_threads.threads(_settings)
# Connections that a worker holds open; more than the splice will ever send to it in a storm of boots.
worker_connections = 4096
preload_app = False

# Not a limit for requests: the arbiter kills a worker whose main loop has not turned for this long. The loop only
# hands out work, so half a minute means that it is stuck.
timeout = 30
# The supervisor gives every process ten seconds to stop; gunicorn must be through before.
graceful_timeout = 5
# iPXE fetches the next file within a second or not at all, and each kept connection holds two of the splice's.
keepalive = 5
# The heartbeat file is touched every second; on a disk that hangs the workers would be killed for it.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes a private file in it

# The splice speaks for the client by the name of its socket; no header may speak for it.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
# Orders come as signals from our own parent.
control_socket_disable = True

logger_class = StructuredLogger
# Each boot is logged with its decision by the application.
accesslog = None
errorlog = "-"
proc_name = "omni-metal-web"

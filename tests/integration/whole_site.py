"""A whole site for a test: a rack, and `omni-metal run` with all its processes beside it."""

import contextlib
import os
import signal
import subprocess
import sys

import redis

from app.machine.model import OperationName
from app.state.mirror import Mirror
from app.state.secrets import sealer
from config.settings import load
from lab.rack import RackOptions
from lab.rack_thread import RackThread
from tests.free_ports import free_port
from tests.integration.children import MARK, marked_processes, wait_until
from workers.enqueue import TASKS, use_queue

UP_S = 60  # seven Python processes on two busy cores


class WholeSite:
    """Use as a context manager; `rack` is a RackThread, `redis` the provider's own Redis."""

    def __init__(self, folder, *extra, flower=False, **rack_options):
        self.folder = folder
        self.port, self.flower_port = free_port(), free_port()
        self.extra = [f"--flower-listen=127.0.0.1:{self.flower_port}" if flower else "--disable-flower", *extra]
        self.environ = {}
        self.thread = RackThread(RackOptions(provider_port=self.port, **rack_options))

    def __enter__(self):
        self.thread.__enter__()
        self.environ = {**self.thread.rack.provider_environ(), **self.environ}
        options = [
            *self.thread.rack.provider_options(),
            f"--state-dir={self.folder / 'state'}",
            f"--gateway-listen=127.0.0.1:{free_port()}",
            "--power-poll-interval=1s",
            "--min-reboot-interval=1s",
            *self.extra,
        ]
        self.log = self.folder / "log"
        self.process = self.start("run", options)
        self.options = options
        self.settings = load(options, self.environ)
        if "redis-url" not in self.settings.given:
            bundled = f"--redis-url=unix://{self.settings.run_dir / 'redis.sock'}"
            self.settings = load([*options, bundled], self.environ)
        self.redis = redis.Redis.from_url(self.settings.redis_url)
        self.mirror = Mirror(self.redis, sealer(self.settings))
        TASKS[OperationName.WIPE].app._backend_cache = None  # of an earlier test
        use_queue(self.settings)
        try:
            wait_until(self.complete, UP_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, command, options):
        """Start a process of the provider."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
        with self.log.open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "app.cli", *command.split(), *options],
                env={**environ, **self.environ, MARK: str(self.folder)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.redis.close()
        refused = list(self.thread.rack.omni.refused)
        self.thread.__exit__()
        assert refused == []  # a real Omni would not let a provider do it either
        assert marked_processes(self.folder) == {}

    def complete(self):
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(redis.RedisError):
            return self.mirror.complete()
        return False

    def result(self, task_id):
        """What Celery has stored of a task, as text."""
        return self.redis.get(f"celery-task-meta-{task_id}")

    def kill(self, name, number=signal.SIGKILL):
        """Kill a process of the provider by its name on the command line."""
        pids = [pid for pid, command in marked_processes(self.folder).items() if f"app.cli {name} " in command]
        assert pids, f"no process {name}"
        for pid in pids:
            os.kill(pid, number)

    def until(self, holds, timeout_s, what):
        return self.thread.until(holds, timeout_s, what)

    @property
    def machines(self):
        return self.thread.rack.machines

    def accept_all(self):
        """All machines boot and are accepted."""
        self.thread.call(self.thread.rack.power_on)
        self.until(lambda rack: all(rack.observe(m).known for m in rack.machines), 30, "machines join")
        self.thread.call(lambda: [self.thread.rack.omni.accept(m.id) for m in self.machines])

    def ready_and_off(self, timeout_s=60):
        """Wait until all are wiped, ready and off."""
        self.until(
            lambda rack: all(rack.observe(m).ready and not m.powered_on for m in rack.machines), timeout_s, "ready, off"
        )

    def counts(self):
        return self.thread.call(self.thread.rack.counts)

    def complaints(self):
        return self.thread.call(self.thread.rack.complaints)

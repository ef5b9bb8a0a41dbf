"""Build the Go programs once, before the first test: no test's own time limit would fit a build from nothing."""

import contextlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.go_omni import GoOmni
from tests.interop.go_programs import GoMissing, Program, ProgramError, build
from tests.required import need

_BUILT = pytest.StashKey()


@dataclass(frozen=True, slots=True)
class _Built:
    """The program, or why there is none: what is missing here, or what the compiler said."""

    program: Path
    missing: str = ""
    broken: str = ""

    def check(self):
        need(self.missing)
        if self.broken:
            pytest.fail(f"tests/interop/programs cannot be built:\n{self.broken}", pytrace=False)


def pytest_collection_finish(session):
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    folder = tempfile.TemporaryDirectory(prefix="interop-")
    session.config.add_cleanup(folder.cleanup)
    session.config.stash[_BUILT] = _build(Path(folder.name))


def _build(folder):
    try:
        return _Built(build(folder))
    except GoMissing as error:
        return _Built(folder, missing=str(error))
    except subprocess.CalledProcessError as error:
        return _Built(folder, broken=error.output)


@pytest.fixture(scope="session")
def start(request):
    """Start one of the programs by its name."""
    built = request.config.stash[_BUILT]
    built.check()
    return lambda name: Program(built.program, name)


@pytest.fixture(autouse=True)
def _needs_go(request):
    request.config.stash[_BUILT].check()


@pytest.fixture(scope="module")
def cosi(start):
    """The program of a state server, of which each test makes a new one."""
    with start("cosi") as running:
        yield running


@pytest.fixture
def server(cosi):
    """A state server with nothing in it."""
    omni = GoOmni(cosi)
    omni.forget()
    omni.start()
    omni.calls()
    yield omni
    with contextlib.suppress(ProgramError):
        omni.stop()

"""Build the Go programs once, before the first test: no test's own time limit would fit a build from nothing."""

import contextlib
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.interop.go_omni import GoOmni
from tests.interop.go_programs import GoMissing, Program, ProgramError, build
from tests.required import need

_FOLDER = pytest.StashKey()
_MISSING = pytest.StashKey()


def pytest_collection_finish(session):
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    folder = tempfile.TemporaryDirectory(prefix="interop-")
    session.config.add_cleanup(folder.cleanup)
    try:
        build(Path(folder.name))
        session.config.stash[_MISSING] = ""
    except GoMissing as error:
        session.config.stash[_MISSING] = str(error)
    except subprocess.CalledProcessError as error:
        pytest.exit(f"the programs of tests/interop cannot be built:\n{error.output}", returncode=1)
    session.config.stash[_FOLDER] = Path(folder.name)


@pytest.fixture(scope="session")
def start(request):
    """Start one of the programs by its name."""
    need(request.config.stash[_MISSING])

    def program(name):
        return Program(request.config.stash[_FOLDER] / "interop", name)

    return program


@pytest.fixture(autouse=True)
def _needs_go(request):
    need(request.config.stash[_MISSING])


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

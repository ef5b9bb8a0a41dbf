"""The Go programs are in the shape that Go's own tools ask for."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.go_programs import SOURCES, ProgramError, find_go, go

pytestmark = pytest.mark.interop


def test_sources_are_formatted_and_vetted():
    gofmt = shutil.which("gofmt", path=str(Path(go("env", "GOROOT").strip()) / "bin"))
    done = subprocess.run([gofmt, "-l", "."], cwd=SOURCES, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    go("vet", "./...")


def test_modules_are_pinned_by_their_sums():
    # Fails where go.mod or go.sum would have to change.
    assert "interop" in go("list", "-mod=readonly", "-deps", ".").split()


def test_what_a_program_does_not_know_is_an_error(start):
    with start("cosi") as cosi:
        with pytest.raises(ProgramError, match='no act "fly"'):
            cosi.ask("fly")
        with pytest.raises(ProgramError, match="unknown field"):
            cosi.ask("get", colour="red")


def test_program_ends_with_its_input(start):
    with start("agent") as agent:
        agent._process.stdin.close()
        assert agent.wait() == 0


def test_go_is_found_by_what_it_can_build():
    assert Path(find_go()).is_file()

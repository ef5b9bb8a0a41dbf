"""Ports: free, held by us, by another one of us, or by a stranger."""

import pytest

from app.doctor import port_holders
from app.doctor.finding import Verdict
from app.doctor.own import own_process, run_of
from app.ports import Holder
from config.settings import Settings

PORT = port_holders.Port("HTTP and gRPC", "", 50042, "--api-port", "web")
OURS = Holder(77, 70, ("/venv/bin/python", "-P", "-m", "app.cli", "web", "--id=x"))


@pytest.mark.parametrize(
    ("command", "process"),
    [
        (OURS.command, "web"),
        (("/usr/bin/python3", "/venv/bin/omni-metal", "run", "--id=x"), "run"),
        (("omni-metal", "gateway"), "gateway"),
        (("nginx",), ""),
        (("/venv/bin/omni-metal",), ""),
        ((), ""),
    ],
)
def test_process_of_ours_is_known_by_its_command_line(command, process):
    assert own_process(command) == process


def test_state_directory_that_nobody_uses_has_no_run(tmp_path):
    assert run_of(tmp_path) is None
    (tmp_path / "lock").write_text("1\n")  # a process, but none of ours
    assert run_of(tmp_path) is None
    (tmp_path / "lock").write_text("")
    assert run_of(tmp_path) is None


def test_port_that_we_hold_is_fine():
    finding = port_holders.held_finding(PORT, OURS, stranger=None)
    assert finding.verdict is Verdict.OK
    assert finding.words == "50042 (HTTP and gRPC) is held by our own web (process 77): that is fine"


def test_port_that_another_run_holds_is_said():
    finding = port_holders.held_finding(PORT, OURS, stranger=70)
    assert finding.verdict is Verdict.FAILED
    assert "another `omni-metal run` (process 70)" in finding.words
    assert "--state-dir" in finding.remedy


@pytest.mark.parametrize(
    "command", [("nginx", "-g", "daemon off;"), ("python", "-m", "app.cli", "gateway")], ids=["other", "ours"]
)
def test_port_that_another_program_holds_is_said(command):
    finding = port_holders.held_finding(PORT, Holder(5, 1, command), stranger=None)
    assert finding.verdict is Verdict.FAILED
    assert f"in use by {' '.join(command)} (process 5)" in finding.words
    assert "--api-port" in finding.remedy


def test_port_whose_holder_is_hidden_is_ours_where_we_answer():
    assert port_holders.hidden_finding(PORT, ours=True).verdict is Verdict.OK
    finding = port_holders.hidden_finding(PORT, ours=False)
    assert finding.verdict is Verdict.WARNING
    assert "root" in finding.remedy


def test_port_that_is_free_is_fine_unless_we_run():
    assert port_holders.free_finding(PORT, awaited=False).verdict is Verdict.OK
    assert port_holders.free_finding(PORT, awaited=True).verdict is Verdict.WARNING


def test_ports_are_those_of_the_settings():
    numbers = [port.number for port in port_holders.ports(Settings(gateway_listen="0.0.0.0:1", disable_flower=True))]
    assert numbers == [50042, 1]
    numbers = [port.number for port in port_holders.ports(Settings(tls_enabled=True))]
    assert numbers == [50042, 50043, 50044, 5555]

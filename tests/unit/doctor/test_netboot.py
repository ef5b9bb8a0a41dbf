"""Ports of DHCP proxy and TFTP: free, ours, another one's of ours, shared, or a stranger's; binaries: which."""

import hashlib

import pytest

from app.boot.ipxe.binaries import PACKAGE, Binary, Package
from app.doctor import ipxe, netboot
from app.doctor.finding import Verdict
from app.doctor.site import Site
from app.ports import Holder
from config.settings import Settings

PARENT = Holder(70, 60, ("python", "-P", "-m", "app.cli", "netboot"))
CHILD = Holder(71, 70, ("python", "-P", "-m", "app.cli", "netboot"))
DNSMASQ = Holder(5, 1, ("dnsmasq", "--bind-interfaces"))


@pytest.mark.parametrize("check", [netboot, ipxe])
def test_site_without_dhcp_proxy_is_not_looked_at(check, tmp_path):
    [finding] = check.look(Site(Settings(disable_dhcp_proxy=True, state_dir=tmp_path)))
    assert finding.verdict is Verdict.SKIPPED
    assert "--disable-dhcp-proxy" in finding.words


@pytest.mark.parametrize("holders", [[PARENT, CHILD], [CHILD, PARENT], [CHILD]])
def test_port_that_our_netboot_holds_is_fine(holders, monkeypatch):
    monkeypatch.setattr(netboot, "command_of", lambda _: ("python", "-m", "app.cli", "run"))
    top = holders[0] if len(holders) == 1 else PARENT
    finding = netboot.own_finding(67, holders, run_process=top.parent)
    assert finding.verdict is Verdict.OK
    assert finding.words == f"67 is held by our own netboot (process {top.process})"


def test_netboot_that_runs_by_itself_is_ours(monkeypatch):
    monkeypatch.setattr(netboot, "command_of", lambda _: ("/sbin/init",))
    assert netboot.own_finding(67, [PARENT, CHILD], run_process=None).verdict is Verdict.OK


def test_port_that_another_run_holds_is_said(monkeypatch):
    monkeypatch.setattr(netboot, "command_of", lambda _: ("python", "-m", "app.cli", "run"))
    finding = netboot.own_finding(67, [PARENT, CHILD], run_process=61)
    assert finding.verdict is Verdict.FAILED
    assert "another `omni-metal run` (process 60)" in finding.words


def test_port_whose_holder_is_hidden_is_ours_where_we_live():
    assert netboot.hidden_finding(69, ours=True).verdict is Verdict.OK
    assert netboot.hidden_finding(69, ours=False).verdict is Verdict.WARNING


def test_port_that_can_be_had_is_fine_unless_we_run():
    assert netboot.free_finding(67, [], awaited=False).words == "67 is free"
    assert "beside dnsmasq --bind-interfaces (process 5)" in netboot.free_finding(67, [DNSMASQ], awaited=False).words
    finding = netboot.free_finding(67, [], awaited=True)
    assert finding.verdict is Verdict.WARNING
    assert "started again" in finding.remedy


def test_what_keeps_netboot_from_starting_counts_where_run_starts_it():
    finding = netboot.start_finding("no right to port 67; start as root", runs_here=True)
    assert (finding.verdict, finding.remedy) == (Verdict.FAILED, "start as root")
    finding = netboot.start_finding("no right to port 67; start as root", runs_here=False)
    assert finding.verdict is Verdict.WARNING
    assert "in a container of its own" in finding.remedy
    assert finding.remedy.endswith("else start as root")


@pytest.mark.parametrize(
    ("sign_s", "under_run", "said"), [(None, True, 0), (5, True, 0), (99, False, 0), (99, True, 1)]
)
def test_netboot_that_hangs_is_said_where_it_must_be_here(sign_s, under_run, said):
    assert len(netboot.sign_findings(sign_s, under_run=under_run)) == said


@pytest.fixture
def package(monkeypatch):
    known = Package("1", "trixie", "", {binary: hashlib.sha256(binary.encode()).hexdigest() for binary in Binary})
    monkeypatch.setattr(ipxe, "PACKAGE", known)
    return {binary: binary.encode() for binary in Binary}


def test_binaries_that_are_known_are_fine(package, tmp_path):
    finding = ipxe.binaries_finding(tmp_path, package, own=False)
    assert (finding.verdict, finding.words) == (Verdict.OK, f"{tmp_path} has those of Debian's package ipxe 1")


@pytest.mark.parametrize(("own", "verdict"), [(True, Verdict.OK), (False, Verdict.WARNING)])
def test_binaries_that_are_not_known_are_named(own, verdict, package, tmp_path):
    finding = ipxe.binaries_finding(tmp_path, package | {Binary.BIOS: b"another"}, own=own)
    assert finding.verdict is verdict
    assert finding.words.endswith(": undionly.kpxe")


def test_binaries_that_are_missing_are_said_with_the_remedy(tmp_path):
    [finding] = ipxe.look(Site(Settings(ipxe_path=tmp_path, api_advertise_address="10.0.0.1", state_dir=tmp_path)))
    assert finding.verdict is Verdict.FAILED
    assert "undionly.kpxe is missing" in finding.words
    assert finding.remedy


def test_package_that_is_known_has_each_binary_that_nothing_stands_in_for():
    assert set(Binary) - PACKAGE.files.keys() == {Binary.ARM64_SNP}

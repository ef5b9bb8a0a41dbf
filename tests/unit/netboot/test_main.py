"""What is decided before anything is opened."""

import signal

import pytest

from config.settings import Settings
from netboot import main
from netboot.dhcp.ports import BROADCAST_PORT, PROXY_PORT
from netboot.ports import dhcp_ports


def test_nothing_to_do_is_said_with_how_to_change_that(capsys, monkeypatch):
    monkeypatch.setattr("config.logs.configure", lambda *_, **__: None)  # it holds for the whole process
    assert main.run(Settings(disable_dhcp_proxy=True), dry_run=False) == 2
    said = capsys.readouterr().err
    assert "--disable-dhcp-proxy" in said
    assert "OMNI_METAL_DISABLE_DHCP_PROXY" in said


@pytest.mark.parametrize("words", [("--disable-dhcp-proxy is wrong here",), ("port 69 is in use; end that program",)])
def test_what_keeps_it_from_starting_says_once_how_to_do_without(words, monkeypatch):
    def refuse(*_):
        raise main.StartError(*words)

    monkeypatch.setattr(main, "boot_files", refuse)
    with pytest.raises(main.StartError) as raised:
        main.try_start(Settings())
    assert str(raised.value).startswith(words[0])
    assert str(raised.value).count("--disable-dhcp-proxy") == 1


def test_broadcasts_are_a_port_of_their_own():
    assert dhcp_ports(Settings()) == (BROADCAST_PORT, PROXY_PORT)
    assert dhcp_ports(Settings(disable_dhcp_proxy_broadcast=True)) == (PROXY_PORT,)


def test_children_are_told_of_also_where_who_starts_us_ignores_its_own(capsys, monkeypatch):
    monkeypatch.setattr("config.logs.configure", lambda *_, **__: None)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        main.run(Settings(disable_dhcp_proxy=True), dry_run=False)
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGCHLD, before)

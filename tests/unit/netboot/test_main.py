"""What is decided before anything is opened."""

import signal

import pytest

from config.settings import Settings
from netboot import main
from netboot.dhcp.ports import BROADCAST_PORT, PROXY_PORT
from netboot.ports import dhcp_ports


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
    def refuse(*_, **__):
        raise main.StartError("no port")

    monkeypatch.setattr("config.logs.configure", lambda *_, **__: None)  # it holds for the whole process
    monkeypatch.setattr(main, "_run", refuse)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert main.run(Settings(), dry_run=False) == 1
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGCHLD, before)

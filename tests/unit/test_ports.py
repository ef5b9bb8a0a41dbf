"""Who holds a port, as /proc tells it."""

import pytest

from app import ports
from app.ports import Holder

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   1: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0
   2: 00000000:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0 0
   3: 0100007F:0043 0200007F:0044 01 00000000:00000000 00:00000000 00000000     0        0 4713 2 0 0
"""


@pytest.fixture
def proc(tmp_path, monkeypatch):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "udp").write_text(TABLE)
    monkeypatch.setattr(ports, "PROC", tmp_path)

    def process(number, inode, command=b"dnsmasq\0"):
        folder = tmp_path / str(number)
        (folder / "fd").mkdir(parents=True)
        (folder / "fd" / "3").symlink_to(f"socket:[{inode}]")
        (folder / "cmdline").write_bytes(command)
        (folder / "stat").write_text(f"{number} (a b) c) S 7 1 1")

    return process


def test_all_who_have_a_udp_port_are_found(proc):
    proc(11, 4711)
    proc(12, 4711)
    proc(13, 4712)
    proc(14, 4713)  # it is connected: it takes nothing from others
    assert {holder.process for holder in ports.udp_holders_of(67)} == {11, 12}
    assert ports.udp_holders_of(69) == (Holder(13, 7, ("dnsmasq",)),)


def test_port_whose_holder_may_not_be_looked_at_is_held_all_the_same(proc):
    assert ports.udp_is_held(67)
    assert ports.udp_holders_of(67) == ()
    assert not ports.udp_is_held(4011)


def test_command_line_with_line_ends_is_told_in_one():
    assert Holder(5, 1, ("python", "-c", "\nimport x\n")).words == "python -c import x (process 5)"
    assert Holder(5, 1, ()).words == "another program (process 5)"

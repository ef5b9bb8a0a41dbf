"""Options of a packet: what scapy does not read as RFC 2131, 2132 and 3396 say."""

import pytest

from netboot.dhcp.options import options_of, suboptions
from tests.netboot_clients.packets import option, request
from tests.unit.netboot.dhcp.asking import offer

VENDOR = option(60, b"PXEClient")
ARCH = option(93, b"\0\7")


def options(tail, **fields):
    """What is read of a packet that has these bytes in place of all options."""
    return options_of(request(**fields)[:240] + tail)


def test_end_mark_ends_the_options():
    assert options(VENDOR + b"\xff" + ARCH) == {60: b"PXEClient"}


def test_options_without_end_mark_are_read():
    assert options(VENDOR + ARCH) == {60: b"PXEClient", 93: b"\0\7"}


def test_padding_between_options_is_skipped():
    assert options(b"\0\0" + VENDOR + b"\0" + ARCH + b"\xff") == {60: b"PXEClient", 93: b"\0\7"}


def test_parts_of_an_option_are_joined_in_their_order():
    assert options(option(60, b"PXE") + ARCH + option(60, b"Client") + b"\xff")[60] == b"PXEClient"


@pytest.mark.parametrize("broken", [b"\x5d", b"\x5d\2\0", b"\x5d\xff\0\7"])
def test_broken_option_ends_the_options_before_it(broken):
    assert options(VENDOR + broken) == {60: b"PXEClient"}


@pytest.mark.parametrize(
    ("overload", "found"),
    [
        (b"\1", {60: b"file"}),
        (b"\2", {60: b"sname"}),
        (b"\3", {60: b"filesname"}),
        (b"\0", {}),
        (b"", {}),
        (b"\1\1", {}),
    ],
)
def test_options_in_file_and_sname_are_read_where_option_52_says_so(overload, found):
    fields = {"file": option(60, b"file") + b"\xff", "sname": option(60, b"sname") + b"\xff"}
    assert options(option(52, overload) + b"\xff", **fields) == {52: overload} | found


def test_parts_in_three_fields_are_joined_in_the_order_of_rfc_3396():
    fields = {"file": option(60, b"Cli") + b"\xff", "sname": option(60, b"ent") + b"\xff"}
    assert options(option(52, b"\3") + option(60, b"PXE") + b"\xff", **fields)[60] == b"PXEClient"


def test_option_52_in_file_opens_nothing_more():
    fields = {"file": option(52, b"\2") + b"\xff", "sname": VENDOR + b"\xff"}
    assert 60 not in options(option(52, b"\1") + b"\xff", **fields)


def test_file_without_option_52_is_no_options():
    assert options(b"\xff", file=VENDOR) == {}


def test_client_with_all_its_options_in_file_and_sname_is_answered():
    rest = dict.fromkeys((55, 57, 60, 93, 94, 97))
    answer = offer(options=rest | {52: b"\3"}, file=ARCH + b"\xff", sname=VENDOR + option(97, bytes(17)) + b"\xff")
    assert (answer.boot_file, answer.options[97]) == ("snp.efi", bytes(17))


def test_architecture_behind_the_end_mark_counts_for_nothing():
    assert offer(arch=0, tail=b"\xff" + ARCH).boot_file == "undionly.kpxe"


def test_suboptions_are_read_up_to_their_end():
    assert suboptions(b"\x13\1\1\0\x14\1\1\xff\x15\1\1") == {0x13: b"\1", 0x14: b"\1"}

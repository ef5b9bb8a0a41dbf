"""What is done with a datagram at the TFTP port."""

import pytest

from netboot.tftp.request import judge
from netboot.tftp.verdict import ErrorCode, Ignore, Mode, Reason, Refuse, Send

FILES = {"snp.efi": b"x" * 1000, "amd64/snp.efi": b"y"}


def read(*words, end=b"\0"):
    return b"\0\1" + b"\0".join(word.encode("latin-1") for word in words) + end


def options_of(*words):
    verdict = judge(read("snp.efi", "octet", *words), FILES)
    assert isinstance(verdict, Send)
    return dict(verdict.options)


def test_known_name_is_sent():
    assert judge(read("snp.efi", "octet"), FILES) == Send("snp.efi", Mode.OCTET)


@pytest.mark.parametrize(
    "asked",
    ["/snp.efi", "//snp.efi", "./snp.efi", "../../snp.efi", "amd64/../snp.efi", "/../snp.efi", "amd64//../snp.efi"],
)
def test_name_is_cleaned(asked):
    assert judge(read(asked, "octet"), FILES) == Send("snp.efi", Mode.OCTET)


@pytest.mark.parametrize(
    "asked", ["", "/", "..", "/etc/passwd", "../../etc/passwd", "SNP.EFI", "snp.efi/x", "amd64\\snp.efi", "\xff"]
)
def test_unknown_name_is_not_found(asked):
    assert judge(read(asked, "octet"), FILES) == Refuse(ErrorCode.NOT_FOUND, Reason.NOT_FOUND, asked)


@pytest.mark.parametrize(("mode", "meant"), [("OCTET", Mode.OCTET), ("NetASCII", Mode.NETASCII)])
def test_mode_is_known_in_any_case(mode, meant):
    assert judge(read("snp.efi", mode), FILES) == Send("snp.efi", meant)


@pytest.mark.parametrize("mode", ["mail", "binary", "", "octe"])
def test_other_mode_is_illegal(mode):
    verdict = judge(read("snp.efi", mode, "blksize", "1024"), FILES)
    assert verdict == Refuse(ErrorCode.ILLEGAL_OPERATION, Reason.BAD_MODE, "snp.efi")


@pytest.mark.parametrize("datagram", [read("snp.efi"), read("snp.efi", end=b""), b"\0\1", b"\0\1\0\0\0"])
def test_request_without_mode_is_illegal(datagram):
    verdict = judge(datagram, FILES)
    assert isinstance(verdict, Refuse)
    assert (verdict.code, verdict.reason) == (ErrorCode.ILLEGAL_OPERATION, Reason.NO_MODE)


@pytest.mark.parametrize("datagram", [b"", b"\0"])
def test_datagram_too_short_for_tftp_is_ignored(datagram):
    assert judge(datagram, FILES) == Ignore(Reason.TOO_SHORT)


def test_request_of_512_bytes_is_served_and_a_longer_one_is_illegal():
    fill = 512 - len(read("snp.efi", "octet"))
    longest = read("snp.efi", "octet") + b"\0" * fill
    assert judge(longest, FILES) == Send("snp.efi", Mode.OCTET)
    assert judge(longest + b"\0", FILES) == Refuse(ErrorCode.ILLEGAL_OPERATION, Reason.TOO_LONG, "snp.efi")


def test_wish_to_write_is_an_access_violation():
    datagram = b"\0\2snp.efi\0octet\0"
    assert judge(datagram, FILES) == Refuse(ErrorCode.ACCESS_VIOLATION, Reason.READ_ONLY, "snp.efi")


@pytest.mark.parametrize("datagram", [b"\0\3\0\1data", b"\0\4\0\1", b"\0\4", b"\0\6tsize\0001\0"])
def test_packet_of_no_transfer_is_told_so(datagram):
    assert judge(datagram, FILES) == Refuse(ErrorCode.UNKNOWN_TRANSFER, Reason.NO_TRANSFER)


def test_error_is_never_answered():
    assert judge(b"\0\5\0\1what\0", FILES) == Ignore(Reason.ERROR)


@pytest.mark.parametrize("datagram", [b"\0\0", b"\0\7", b"\1\1snp.efi\0octet\0", b"\xff\xff"])
def test_unknown_operation_is_illegal(datagram):
    assert judge(datagram, FILES) == Refuse(ErrorCode.ILLEGAL_OPERATION, Reason.BAD_OPCODE)


def test_options_are_agreed_to_in_the_order_of_the_client():
    verdict = judge(read("snp.efi", "octet", "tsize", "0", "BLKSIZE", "1428", "windowsize", "4", "timeout", "5"), FILES)
    assert verdict.options == (("tsize", "0"), ("blksize", "1428"), ("timeout", "5"))


@pytest.mark.parametrize(
    ("wanted", "agreed"),
    [("8", "8"), ("512", "512"), ("1468", "1468"), ("1469", "1468"), ("65464", "1468"), ("99999999", "1468")],
)
def test_block_size_is_at_most_what_a_frame_carries(wanted, agreed):
    assert options_of("blksize", wanted) == {"blksize": agreed}


@pytest.mark.parametrize("wanted", ["0", "1", "7", "-1", "abc", "", " 512", "+512", "5e2", "\xb2", "9" * 400])
def test_bad_block_size_is_left_out(wanted):
    assert options_of("blksize", wanted, "tsize", "0") == {"tsize": "0"}


@pytest.mark.parametrize(("wanted", "agreed"), [("1", "1"), ("3", "3"), ("5", "5")])
def test_timeout_is_that_of_the_client(wanted, agreed):
    assert options_of("timeout", wanted) == {"timeout": agreed}


@pytest.mark.parametrize("wanted", ["0", "-5", "6", "255", "999999", "x", ""])
def test_timeout_that_would_hold_a_place_for_long_is_left_out(wanted):
    assert options_of("timeout", wanted) == {}


@pytest.mark.parametrize("option", ["retries", "default_timeout", "mode", "windowsize", "multicast", "password", ""])
def test_other_options_are_left_out(option):
    assert options_of(option, "1") == {}


def test_option_without_value_is_left_out():
    assert options_of("blksize", "1024", "tsize") == {"blksize": "1024"}


def test_repeated_option_counts_once():
    assert options_of("blksize", "1024", "blksize", "8", "BlkSize", "9") == {"blksize": "1024"}


def test_zero_bytes_at_the_end_are_no_options():
    assert judge(read("snp.efi", "octet", "tsize", "0") + b"\0" * 30, FILES).options == (("tsize", "0"),)


def test_error_packet_holds_code_and_words():
    assert judge(read("x", "octet"), FILES).packet == b"\0\5\0\1file not found\0"

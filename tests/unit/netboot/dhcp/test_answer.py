"""Who is answered what: the table of architectures, and what real firmware wants in an answer."""

import pytest

from netboot.dhcp.loop_guard import LoopGuard
from netboot.dhcp.verdict import Client, Message, Reason
from tests.netboot_clients.packets import (
    ACK,
    DECLINE,
    DISCOVER,
    INFORM,
    IPXE_HTTP,
    IPXE_WITHOUT_HTTP,
    MAC,
    MACHINE_ID,
    NAK,
    OFFER,
    RELEASE,
    REQUEST,
    ipxe,
    request,
)
from tests.unit.netboot.dhcp.asking import CLIENT, SCRIPT, SITE, ack, ignored, offer, verdict

BY_TFTP = {0: "undionly.kpxe", 6: "snp.efi", 7: "snp.efi", 9: "snp.efi", 11: "snp-arm64.efi", 22: "snp-arm64.efi"}
BY_HTTP = {15: "amd64", 16: "amd64", 19: "arm64", 24: "arm64"}
OLD = ipxe(IPXE_WITHOUT_HTTP)


@pytest.mark.parametrize(("arch", "binary"), BY_TFTP.items())
def test_tftp_firmware_is_offered_the_binary_of_its_architecture(arch, binary):
    answer = offer(arch=arch)
    assert (answer.message, answer.boot_file, answer.file) == (OFFER, binary, binary)
    assert answer.options[66] == b"10.77.0.2"


@pytest.mark.parametrize(("arch", "folder"), BY_HTTP.items())
def test_http_firmware_is_offered_the_url_of_its_architecture_and_nothing_of_tftp(arch, folder):
    answer = offer(arch=arch)
    assert answer.boot_file == f"http://10.77.0.2:50042/tftp/{folder}/snp.efi"
    assert answer.options[60].startswith(b"HTTPClient")
    assert answer.file == ""
    assert 66 not in answer.options


@pytest.mark.parametrize("arch", [*BY_TFTP, *BY_HTTP])
def test_ipxe_that_can_http_gets_the_script_on_any_architecture(arch):
    answer = offer(arch=arch, options=ipxe(IPXE_HTTP))
    assert (answer.boot_file, answer.file) == (SCRIPT, "")
    assert 66 not in answer.options


@pytest.mark.parametrize("arch", [*BY_TFTP, *BY_HTTP])
def test_acknowledgement_tells_what_the_offer_told(arch):
    offered, acknowledged = offer(arch=arch), ack(arch=arch)
    assert acknowledged.message == ACK
    assert acknowledged.options | {53: b""} == offered.options | {53: b""}
    assert (acknowledged.file, acknowledged.siaddr) == (offered.file, offered.siaddr)


@pytest.mark.parametrize("arch", [0, 7, 16])
@pytest.mark.parametrize("ask", [offer, ack])
def test_answer_holds_what_edk2_drops_it_without(ask, arch):
    answer = ask(arch=arch)
    assert answer.server == "10.77.0.2"
    assert answer.options[60].startswith((b"PXEClient", b"HTTPClient"))
    assert answer.options[97] == MACHINE_ID


@pytest.mark.parametrize("options", [{}, ipxe()])
def test_answer_repeats_who_asked_and_gives_no_address(options):
    answer = offer(xid=0xCAFE1234, flags=0x8000, options=options)
    assert (answer.op, answer.xid, answer.flags, answer.mac) == (2, 0xCAFE1234, 0x8000, MAC)
    assert (answer.yiaddr, answer.ciaddr, answer.siaddr) == ("0.0.0.0", "0.0.0.0", "10.77.0.2")
    assert offer(flags=0, options=options).flags == 0


def test_answer_has_at_least_300_bytes():
    assert offer(options={60: None, 97: None}).size == 300


def test_address_of_the_client_is_copied_into_the_acknowledgement_alone():
    assert ack(ciaddr="10.77.0.50").ciaddr == "10.77.0.50"
    assert offer(ciaddr="10.77.0.50").ciaddr == "0.0.0.0"


def test_answers_hold_no_option_43():
    assert all(43 not in ask(arch=arch).options for ask in (offer, ack) for arch in (0, 7, 11))


def test_reply_tells_for_the_log_who_was_told_what():
    reply = verdict(request(arch=7))
    told = (reply.message, reply.client, reply.mac, reply.architecture, reply.boot_file)
    assert told == (Message.OFFER, Client.PXE, MAC, 7, "snp.efi")


@pytest.mark.parametrize(
    ("packet", "client"),
    [
        (request(), Client.PXE),
        (request(arch=16), Client.HTTP),
        (request(options=ipxe()), Client.IPXE),
        (request(options=OLD), Client.OLD_IPXE),
    ],
)
def test_kind_of_client_is_told(packet, client):
    assert verdict(packet).client is client


# Messages and ports


@pytest.mark.parametrize("message", [OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM, 0, 9, 255])
def test_port_67_answers_nothing_but_discover(message):
    assert ignored(request(message)) is Reason.OTHER_MESSAGE


@pytest.mark.parametrize("message", [DISCOVER, OFFER, DECLINE, ACK, NAK, RELEASE, INFORM, 0, 9, 255])
def test_port_4011_answers_nothing_but_request(message):
    assert ignored(request(message), 4011) is Reason.OTHER_MESSAGE


@pytest.mark.parametrize("value", [None, b"", b"\1\3", b"\3\1"])
@pytest.mark.parametrize("port", [67, 4011])
def test_message_type_that_is_not_one_byte_is_not_answered(value, port):
    assert ignored(request(options={53: value}), port) is Reason.OTHER_MESSAGE


# Where the answer goes


def test_client_without_address_is_answered_by_broadcast():
    assert verdict(request()).destination == ("255.255.255.255", 68)


def test_client_with_address_is_answered_there():
    assert verdict(request(), source=("10.77.0.50", 1068)).destination == ("10.77.0.50", 1068)


def test_relay_is_answered_at_port_67_and_finds_its_address_in_the_answer():
    reply = verdict(request(giaddr="10.1.2.3"), source=("10.1.2.3", 67))
    assert reply.destination == ("10.1.2.3", 67)
    assert offer(giaddr="10.1.2.3").giaddr == "10.1.2.3"


def test_relay_gets_its_own_information_back():
    assert offer(giaddr="10.1.2.3", options={82: b"\1\4port"}).options[82] == b"\1\4port"


def test_relay_information_too_long_for_one_option_is_left_out():
    parts = b"\x52\xff" + b"x" * 255 + b"\x52\x01x\xff"
    assert 82 not in offer(giaddr="10.1.2.3", tail=parts).options


@pytest.mark.parametrize("giaddr", ["255.255.255.255", "224.0.0.1", "127.0.0.1", "0.1.2.3", "240.0.0.1"])
def test_relay_with_an_address_of_no_host_is_not_answered(giaddr):
    assert ignored(request(giaddr=giaddr)) is Reason.BAD_RELAY


@pytest.mark.parametrize("giaddr", ["0.0.0.0", "10.1.2.3"])
def test_acknowledgement_goes_to_where_the_request_came_from(giaddr):
    assert verdict(request(REQUEST, giaddr=giaddr), 4011, CLIENT).destination == CLIENT


# Who is no boot client


def test_client_without_architecture_is_not_answered():
    assert ignored(request(options={93: None})) is Reason.NO_BOOT_CLIENT


@pytest.mark.parametrize("vendor", [b"MSFT 5.0", b"udhcp 1.36", b"PXEClien", b"pxeclient", b" PXEClient", b"HTTP"])
@pytest.mark.parametrize("port", [67, 4011])
def test_client_of_another_vendor_class_is_not_answered(vendor, port):
    message = DISCOVER if port == 67 else REQUEST
    assert ignored(request(message, options={60: vendor}), port) is Reason.OTHER_VENDOR


def test_vendor_class_is_told_without_control_characters_and_cut():
    said = verdict(request(options={60: b"\x1b[31m\xff" + b"x" * 200})).detail
    assert said == r"\x1b[31m\xff" + 48 * "x"


@pytest.mark.parametrize("arch", [b"", b"\0", b"\0\7\0"])
def test_architecture_of_odd_length_is_not_answered(arch):
    assert ignored(request(options={93: arch})) is Reason.BAD_ARCHITECTURE


@pytest.mark.parametrize("arch", [1, 2, 8, 10, 12, 17, 18, 23, 25, 0x0700, 65_535])
def test_unknown_architecture_is_not_answered_and_told(arch):
    what = verdict(request(arch=arch))
    assert (what.reason, what.detail, what.mac) == (Reason.UNKNOWN_ARCHITECTURE, str(arch), MAC)


@pytest.mark.parametrize(
    ("arch", "binary"),
    [((0, 7), "snp.efi"), ((7, 0), "undionly.kpxe"), ((11, 99), "snp-arm64.efi"), ((99, 0, 10), "undionly.kpxe")],
)
def test_of_several_architectures_the_last_known_one_decides(arch, binary):
    assert offer(arch=arch).boot_file == binary


# Vendor class and machine id


@pytest.mark.parametrize("vendor", [b"PXEClient", b"PXEClient:Arch:00007:UNDI:003000", b"HTTPClient", b"PXEClient\xff"])
def test_vendor_class_of_a_boot_client_is_copied(vendor):
    assert offer(options={60: vendor}).options[60] == vendor


@pytest.mark.parametrize(
    ("arch", "vendor"), [*((a, b"PXEClient") for a in BY_TFTP), *((a, b"HTTPClient") for a in BY_HTTP)]
)
@pytest.mark.parametrize("said", [None, b""])
def test_absent_or_empty_vendor_class_is_filled_in(arch, vendor, said):
    assert offer(arch=arch, options={60: said}).options[60] == vendor


@pytest.mark.parametrize("said", [b"PXEClient", b"HTTPClient"])
def test_vendor_class_too_long_for_one_option_is_answered_with_its_first_word(said):
    parts = b"\x3c\xff" + said.ljust(255, b"x") + b"\x3c\x01x\xff"
    assert offer(options={60: None}, tail=parts).options[60] == said


@pytest.mark.parametrize("value", [None, b""])
def test_absent_or_empty_machine_id_is_left_out(value):
    assert 97 not in offer(options={97: value}).options


@pytest.mark.parametrize("value", [b"\0", MACHINE_ID[:-1], MACHINE_ID + b"\0", b"\1" + MACHINE_ID[1:]])
def test_machine_id_that_is_no_uuid_is_not_answered(value):
    assert ignored(request(options={97: value})) is Reason.BAD_CLIENT_ID


# iPXE


@pytest.mark.parametrize("user_class", [b"iPXE", b"\4iPXE", b"\3lab\4iPXE", b"\4iPXE\3lab", b"\0\4iPXE"])
def test_user_class_of_ipxe_is_known_in_all_its_forms(user_class):
    assert offer(options=ipxe(user_class=user_class)).boot_file == SCRIPT


@pytest.mark.parametrize("user_class", [b"", b"ipxe", b"iPXE2", b"\5iPXE", b"\4iPXE\5x", b"\3iPXE", b"xiPXE", b"gPXE"])
def test_other_user_class_is_not_taken_for_ipxe(user_class):
    assert offer(options=ipxe(user_class=user_class)).boot_file == "undionly.kpxe"


@pytest.mark.parametrize(
    "features", [None, b"", IPXE_WITHOUT_HTTP, b"\x13", b"\x13\0", b"\x14\1\1", b"\xff\x13\1\1", b"\x21\3\x13\1\1"]
)
def test_ipxe_that_does_not_say_that_it_can_http_gets_our_binary(features):
    answer = offer(arch=7, options=ipxe(features))
    assert (answer.boot_file, answer.file) == ("snp.efi", "snp.efi")


@pytest.mark.parametrize("features", [b"\x13\1\1", b"\0\0\x13\1\1\xff", IPXE_HTTP])
def test_feature_is_found_among_padding(features):
    assert offer(options=ipxe(features)).boot_file == SCRIPT


@pytest.mark.parametrize(("arch", "binary"), BY_TFTP.items())
def test_old_ipxe_gets_the_binary_of_its_architecture_once_and_then_the_script(arch, binary):
    guard = LoopGuard()
    asked = [offer(guard, arch=arch, xid=xid, options=OLD).boot_file for xid in (1, 2, 3)]
    assert asked == [binary, SCRIPT, SCRIPT]


def test_old_ipxe_loaded_by_http_boot_gets_a_url_first():
    guard = LoopGuard()
    asked = [offer(guard, arch=16, xid=xid, options=OLD).boot_file for xid in (1, 2)]
    assert asked == ["http://10.77.0.2:50042/tftp/amd64/snp.efi", SCRIPT]


def test_old_ipxe_that_our_binary_served_well_gets_it_again_at_its_next_boot():
    guard = LoopGuard()
    asked = [offer(guard, xid=xid, options=of_it).boot_file for xid, of_it in ((1, OLD), (2, ipxe()), (3, OLD))]
    assert asked == ["undionly.kpxe", SCRIPT, "undionly.kpxe"]


def test_old_ipxe_is_acknowledged_what_it_was_offered():
    guard = LoopGuard()
    for xid, told in ((1, "undionly.kpxe"), (2, SCRIPT)):
        assert offer(guard, xid=xid, options=OLD).boot_file == told
        assert offer(guard, xid=xid, options=OLD).boot_file == told
        assert ack(guard, xid=xid, options=OLD).boot_file == told


def test_machine_whose_packet_is_not_answered_is_not_remembered():
    guard = LoopGuard()
    for bad in ({"giaddr": "127.0.0.1"}, {"options": OLD | {97: b"\1"}}, {"options": OLD | {60: b"x"}}):
        verdict(request(**{"options": OLD, **bad}), guard=guard)
    verdict(request(REQUEST, options=OLD), guard=guard)
    assert guard.machines == 0


def test_longest_answer_fits_into_one_frame():
    packet = request(options={60: b"PXEClient".ljust(255, b"x"), 82: b"\1" * 255, **OLD}, giaddr="10.1.2.3")
    reply = verdict(packet)
    assert len(reply.packet) < 1500 - 28, SITE

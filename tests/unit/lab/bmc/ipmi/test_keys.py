"""The figures are those of ipmitool 1.8.19, which prints all that it computes with -vvvvv."""

from dataclasses import replace

import pytest

from lab.bmc.ipmi.keys import SUITES, Keys, Proof
from lab.bmc.ipmi.packets import Frame, Malformed, Payload, read_packet

PASSWORD = b"admin"


def said(suite, bmc_id, console_random, bmc_random):
    return Proof(
        suite=suite,
        console_id=0xA0A2A3A4,
        bmc_id=bmc_id,
        console_random=bytes.fromhex(console_random),
        bmc_random=bytes.fromhex(bmc_random),
        guid=bytes.fromhex("8f768d09661cc3c8745ea69dd7e6920a"),
        role=0x14,
        name=b"admin",
    )


SUITE_3 = (
    said(SUITES[0], 0x5F03089C, "28f85870c56dfc8b529bb6aadf6188de", "0866a08dcf09a53d49a00fe4c011682b"),
    "19b5d2e6cf64b9be4d91224a38cbcc83d4b0a73b",
    "300e692d1de7512b45b390c4d9266060a2f50c89",
    "369b656150bff87a7be6d16efa18d02245a23d18",
    "ab14d2c4aa6c1286c75f9519",
    "87d0a45acf9eddaefbcfbad18f9e67e661030078",
    "47f0c4722cab8f3d42279ec52cf7bbb9",
    (
        "0600ff0706c09c08035f03000000200014ac301ec4fae0c51529a9532ad5b06750047017"
        "8701a40261d9c3dfbf4408b9ffff02077bd6a476b645a3937084da29"
    ),
)
SUITE_17 = (
    said(SUITES[1], 0x894C0B87, "b318ddc6d7eaf46ef2f897909e9c357e", "cf80827b0aeb9db2f249c1a391709d78"),
    "dad2a1432bbcfb599ec4e4a97bb1289604b01a128f603e6d6ad7768e8371a854",
    "08f8b2ada4d17a6e9ab5d4b60eb29478e385727dd2b10a5f07cf43aa0e70102d",
    "6c1ece931763197a68401a8557d79b02322c25ef48aaff0b7690ec79a1ad7046",
    "ba5ce146ee7b686f8d9b6e66a9641a97",
    "5f0c8749deafdd901e513169571aee827e717ab9950b1c7d511029d4de267fe0",
    "044f526bf04cdbbc17320fd13a86417b",
    (
        "0600ff0706c0870b4c890300000020005dcaf22f100e4a9d16a1255edddd84a086416d2f"
        "7b4ee093ed1f679db4fe1efeffff02071d6d83203a6c0c9a7782392dcb33cc5c"
    ),
)


@pytest.mark.parametrize("figures", [SUITE_3, SUITE_17], ids=["suite 3", "suite 17"])
def test_codes_and_keys_are_those_that_ipmitool_computes(figures):
    proof, of_bmc, of_console, session_key, of_session, signs, hides, packet = figures

    assert proof.of_bmc(PASSWORD).hex() == of_bmc
    assert proof.of_console(PASSWORD).hex() == of_console
    assert proof.session_key(PASSWORD).hex() == session_key
    assert proof.of_session(bytes.fromhex(session_key)).hex() == of_session
    keys = proof.keys(bytes.fromhex(session_key))
    assert (keys.signs, keys.hides) == (bytes.fromhex(signs), bytes.fromhex(hides))
    assert keys.unseal(read_packet(bytes.fromhex(packet))).hex() == "2018c881043b043c"


def sealed(suite=SUITES[0], payload=b"message"):
    keys = Keys(suite, b"signs", bytes(range(16)))
    return keys, keys.seal(7, 8, payload)


@pytest.mark.parametrize(
    "change",
    [
        {"signed": False},
        {"encrypted": False},
        {"session_id": 9},
        {"sequence": 9},
        {"trailer": b""},
        {"trailer": bytes(14)},
    ],
)
def test_packet_that_is_not_as_it_was_sealed_is_not_read(change):
    keys, frame = sealed()

    assert keys.unseal(frame) == b"message"
    with pytest.raises(Malformed):
        keys.unseal(replace(frame, **change))


@pytest.mark.parametrize("payload", [b"", bytes(16), bytes(40), bytes(32)])
def test_signed_packet_whose_inside_is_no_message_is_not_read(payload):
    keys, _ = sealed()
    body = Frame(Payload.IPMI, payload, 7, 8, encrypted=True, signed=True)
    tail = b"\x00\x07"
    frame = replace(body, trailer=tail + keys._code(body.body() + tail))

    with pytest.raises(Malformed, match=r"blocks|padding"):
        keys.unseal(frame)


def test_keys_are_not_shown():
    keys, _ = sealed()

    assert "signs" not in repr(keys)


def test_same_message_is_hidden_in_another_way_each_time():
    assert sealed()[1].payload != sealed()[1].payload

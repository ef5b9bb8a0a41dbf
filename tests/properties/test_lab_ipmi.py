"""What a virtual IPMI BMC reads is what was packed, and whatever else comes gets no answer and harms nothing."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from lab.bmc.ipmi.handshake import OpenRequest, Rakp1, Rakp3, read_open, read_rakp1, read_rakp3
from lab.bmc.ipmi.keys import SUITES, Keys
from lab.bmc.ipmi.messages import Completion, Request, read_request
from lab.bmc.ipmi.packets import Frame, Malformed, Payload, Plain, read_packet
from tests.unit.lab.bmc.ipmi.console import Console, wired

NUMBERS = st.integers(0, 0xFFFFFFFF)
BYTES = st.integers(0, 255)
SIXTEEN = st.binary(min_size=16, max_size=16)
REQUESTS = st.builds(
    Request,
    netfn=st.integers(0, 31).map(lambda half: 2 * half),
    command=BYTES,
    data=st.binary(max_size=64),
    sequence=st.integers(0, 63),
    requester=BYTES,
    requester_lun=st.integers(0, 3),
    lun=st.integers(0, 3),
)
PLAINS = st.builds(Plain, st.binary(max_size=255), NUMBERS, NUMBERS)
_FRAME = {
    "kind": st.sampled_from(Payload),
    "payload": st.binary(max_size=300),
    "session_id": NUMBERS,
    "sequence": NUMBERS,
    "encrypted": st.booleans(),
}
SIGNED = st.builds(Frame, **_FRAME, signed=st.just(value=True), trailer=st.binary(min_size=1, max_size=40))
FRAMES = st.builds(Frame, **_FRAME) | SIGNED
OPENS = st.builds(OpenRequest, BYTES, st.integers(0, 15), NUMBERS, st.tuples(*[st.integers(0, 63)] * 3))
RAKP1S = st.builds(Rakp1, BYTES, NUMBERS, SIXTEEN, BYTES, st.binary(max_size=20))
RAKP3S = st.builds(Rakp3, BYTES, BYTES, NUMBERS, st.binary(max_size=40))


@given(PLAINS | FRAMES)
def test_packet_is_read_as_it_was_packed(packet):
    assert read_packet(packet.packed()) == packet


@given(REQUESTS)
def test_request_is_read_as_it_was_packed(request):
    assert read_request(request.packed()) == request


@given(REQUESTS, st.sampled_from(Completion), st.binary(max_size=40))
def test_answer_is_no_request_and_sums_to_zero(request, completion, data):
    answer = request.answer(completion, data)

    assert sum(answer[:3]) % 256 == 0 == sum(answer[3:]) % 256
    assert answer[1] >> 2 == request.netfn + 1
    assert (answer[0], answer[4] >> 2, answer[5:7]) == (
        request.requester, request.sequence, bytes([request.command, completion])
    )


@given(OPENS, RAKP1S, RAKP3S)
def test_steps_of_the_handshake_are_read_as_they_were_packed(opening, first, third):
    assert read_open(opening.packed()) == opening
    assert read_rakp1(first.packed()) == first
    assert read_rakp3(third.packed()) == third


@given(st.sampled_from(SUITES), st.binary(max_size=200), NUMBERS, NUMBERS)
def test_sealed_message_is_read_with_the_same_keys_alone(suite, message, session_id, sequence):
    frame = Keys(suite, b"signs", bytes(16)).seal(session_id, sequence, message)

    assert Keys(suite, b"signs", bytes(16)).unseal(read_packet(frame.packed())) == message
    try:
        Keys(suite, b"other", bytes(16)).unseal(frame)
    except Malformed:
        return
    raise AssertionError("read with other keys")


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=20))
def test_garbage_gets_no_answer(datagrams):
    assert not _answers(*datagrams, *(b"\x06\x00\xff\x07" + data for data in datagrams))


@given(st.lists(FRAMES.map(Frame.packed) | PLAINS.map(Plain.packed), min_size=1, max_size=20))
def test_packets_from_nobody_press_nothing_and_let_nobody_in(datagrams):
    with wired() as (wire, chassis):
        _answers(*datagrams, wire=wire)
        assert chassis.pressed == []
        assert (wire.bmc.ledger.logins, wire.bmc.ledger.sessions) == (0, 0)


@given(REQUESTS)
def test_any_request_in_a_session_gets_one_answer(request):
    async def ask():
        with wired() as (wire, _):
            console = await Console(wire).login()
            console.sequence += 1
            frame = console.keys.seal(console.bmc_id, console.sequence, request.packed())
            answer = await wire.exchange(frame.packed(), console.peer)
            await wire.bmc.stop()
            return console.keys.unseal(read_packet(answer))

    message = asyncio.run(ask())

    assert message[5] == request.command
    assert message[6] in set(Completion)


def _answers(*datagrams, wire=None):
    """What comes back for these."""

    async def ask():
        with wired() as (fresh, _):
            used = wire or fresh
            for datagram in datagrams:
                used.bmc.came(datagram, ("192.0.2.1", 5000))
            await asyncio.sleep(0.002)
            await used.bmc.stop()
            return list(used.came)

    return asyncio.run(ask())

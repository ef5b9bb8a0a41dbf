"""Packets that must do no harm: some that nobody may answer, and good ones with random damage."""

import random

from tests.netboot_clients.packets import DISCOVER, MACHINE_ID, REQUEST, ipxe, option, request

ARCHITECTURES = (0, 6, 7, 9, 11, 15, 16, 19, 22, 24)
UNKNOWN_ARCHITECTURES = (1, 2, 3, 4, 5, 8, 10, 12, 13, 14, 17, 18, 20, 21, 23, 25, 255, 65_535)
LONGEST = 4000


def good(chance):
    """A packet of some boot client."""
    options = {}
    if chance.random() < 0.4:
        options = ipxe(user_class=chance.choice([b"iPXE", b"\x04iPXE"]))
    message = chance.choice([DISCOVER, REQUEST])
    return request(message, arch=chance.choice(ARCHITECTURES), xid=chance.getrandbits(32), options=options)


def _options(chance, **changes):
    return request(
        chance.choice([DISCOVER, REQUEST]),
        arch=chance.choice(ARCHITECTURES),
        options={int(name[1:]): value for name, value in changes.items()},
    )


def _put(packet, at, value):
    return packet[:at] + value + packet[at + len(value) :]


BREAKS = {
    "empty": lambda _, __: b"",
    "short": lambda chance, packet: packet[: chance.randrange(240)],
    "long": lambda chance, packet: packet.ljust(chance.randrange(2048, LONGEST), b"\0"),
    "noise": lambda chance, _: chance.randbytes(chance.randrange(LONGEST)),
    "op": lambda chance, packet: _put(packet, 0, bytes([chance.choice([0, *range(2, 256)])])),
    "htype": lambda chance, packet: _put(packet, 1, bytes([chance.choice([0, *range(2, 256)])])),
    "hlen": lambda chance, packet: _put(packet, 2, bytes([chance.choice([*range(6), *range(7, 256)])])),
    "cookie": lambda chance, packet: _put(packet, 236, bytes([chance.randrange(0x63), *chance.randbytes(3)])),
    "options of noise": lambda chance, packet: packet[:240] + b"\x35\x02" + chance.randbytes(200),
    "pads": lambda chance, packet: packet[:240].ljust(chance.randrange(300, 2000), b"\0"),
    "empty options": lambda chance, packet: packet[:240] + bytes([chance.randrange(1, 255), 0]) * 700,
    "no message": lambda chance, _: _options(chance, _53=None),
    "long message": lambda chance, _: _options(chance, _53=bytes([1, 3])),
    "empty message": lambda chance, _: _options(chance, _53=b""),
    "other message": lambda chance, _: _options(chance, _53=bytes([chance.choice([0, 2, *range(4, 256)])])),
    "no architecture": lambda chance, _: _options(chance, _93=None),
    "empty architecture": lambda chance, _: _options(chance, _93=b""),
    "odd architecture": lambda chance, _: _options(chance, _93=bytes(chance.randrange(1, 20, 2))),
    "unknown architecture": lambda chance, _: request(arch=chance.choice(UNKNOWN_ARCHITECTURES)),
    "other vendor": lambda chance, _: _options(chance, _60=b"\x1b[31m" + chance.randbytes(chance.randrange(200))),
    "short id": lambda chance, _: _options(chance, _97=bytes(chance.randrange(1, 17))),
    "long id": lambda chance, _: _options(chance, _97=bytes(chance.randrange(18, 200))),
    "id of another type": lambda chance, _: _options(chance, _97=b"\1" + MACHINE_ID[1:]),
    "overload": lambda chance, packet: packet[:240] + option(52, chance.randbytes(chance.randrange(3))) + b"\xff",
    "option that runs out": lambda _, packet: packet[:240] + b"\x35\xff\x01",
    "end first": lambda _, packet: packet[:240] + b"\xff" + packet[240:],
}


def malformed(count, seed):
    """Packets that no DHCP proxy may answer, the same for the same seed."""
    chance = random.Random(seed)
    names = list(BREAKS)
    for number in range(count):
        yield BREAKS[names[number % len(names)]](chance, good(chance))


def damaged(count, seed):
    """Good packets with some bytes changed, cut out, doubled or put in; some are still good."""
    chance = random.Random(seed)
    for _ in range(count):
        packet = bytearray(good(chance))
        for _ in range(chance.randrange(1, 8)):
            first = chance.choice([0, min(240, len(packet))])  # half of it among the options
            at = chance.randrange(first, len(packet) + 1)
            end = at + chance.choice([1, 1, 1, 2, 4, 30])
            change = chance.randrange(4)
            if change == 0:
                packet[at:end] = chance.randbytes(end - at)
            elif change == 1:
                packet[at:end] = b""
            elif change == 2:
                packet[at:at] = packet[at:end] * chance.randrange(1, 9)
            else:
                packet[at:at] = chance.choice([b"\0", b"\xff", b"\x34\x01\x03", b"\x5d\x02\0\x07", b"\xaf\xff"])
        yield bytes(packet)

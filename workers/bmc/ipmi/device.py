"""What a BMC says of itself when asked for its device id."""

from __future__ import annotations

from typing import Final

from workers.bmc.known import BmcKind, Known

# IANA's enterprise numbers of those who build servers or BMCs, under the names that people know them by.
VENDORS: Final = {
    2: "IBM",
    11: "HP",
    42: "Sun",
    111: "Oracle",
    119: "NEC",
    343: "Intel",
    674: "Dell",
    2011: "Huawei",
    2623: "ASUS",
    5703: "NVIDIA",
    5771: "Cisco",
    6569: "Inventec",
    6653: "Tyan",
    7244: "Quanta",
    10368: "Fujitsu",
    10876: "Supermicro",
    12290: "Celestica",
    15370: "Gigabyte",
    19046: "Lenovo",
    20301: "Lenovo",  # System x, once IBM's
    20974: "AMI",
    25506: "H3C",
    37945: "Inspur",
    40092: "Wiwynn",
    42817: "OpenPOWER",
    47196: "HPE",
    47488: "Supermicro",  # another's number, which some of its boards give; ipmitool knows it too
    49622: "ASRock Rack",
    49769: "YADRO",
}
SHORTEST: Final = 11


def described(data: bytes) -> Known:
    """What is known from the answer to Get Device ID. It has no name of the product, only its number."""
    if len(data) < SHORTEST:
        return Known(BmcKind.IPMI)
    number = int.from_bytes(data[6:9], "little") & 0xFFFFF  # the upper four bits are reserved, and not always zero
    return Known(
        BmcKind.IPMI,
        vendor=VENDORS.get(number, f"IANA {number}") if number else "",
        model=f"product {int.from_bytes(data[9:11], 'little'):#06x}",
        firmware=f"{data[2] & 0x7F}.{data[3]:02x}",
    )

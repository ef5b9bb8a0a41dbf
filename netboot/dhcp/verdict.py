"""What comes of a packet: a reply, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Message(IntEnum):
    """DHCP messages that matter here, by their number in option 53."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    ACK = 5


class Client(StrEnum):
    """Kinds of clients that are answered."""

    PXE = "pxe"
    HTTP = "http-boot"
    IPXE = "ipxe"
    OLD_IPXE = "ipxe-without-http"


class Reason(StrEnum):
    """Why a packet is not answered. The counters of the proxy go by these."""

    TOO_SHORT = "too short for DHCP"
    TOO_LONG = "longer than any DHCP client sends"
    NOT_FROM_CLIENT = "not from a client"
    NOT_DHCP = "no DHCP: the magic cookie is missing"
    NOT_ETHERNET = "not an Ethernet address"
    OTHER_MESSAGE = "not a message that this port answers"
    NO_BOOT_CLIENT = "no boot client: without architecture (option 93)"
    BAD_ARCHITECTURE = "malformed architecture (option 93)"
    UNKNOWN_ARCHITECTURE = "architecture that we have no binary for"
    OTHER_VENDOR = "vendor class (option 60) of neither PXE nor HTTP boot"
    BAD_CLIENT_ID = "malformed client machine id (option 97)"
    BAD_RELAY = "relay address (giaddr) that is no unicast address"


@dataclass(frozen=True, slots=True)
class Reply:
    """A packet to send.

    destination: address and port.
    mac, architecture: whom it is for; the number is that of option 93.
    boot_file: the name or URL that it tells.
    """

    packet: bytes
    destination: tuple[str, int]
    message: Message
    client: Client
    mac: str
    architecture: int
    boot_file: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A packet that is not answered. detail: what the client said, cleaned; empty where there is nothing to tell."""

    reason: Reason
    mac: str = ""
    detail: str = ""


class NotAnsweredError(Exception):
    """Ends the look at a packet that is not to be answered."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail

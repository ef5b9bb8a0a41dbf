"""What both ends of the internal listener need: names in metadata, connection options, tickets on the wire."""

from __future__ import annotations

from typing import Final

from app.agents.wipes import WipeTicket
from protos.gen.gateway import gateway_pb2 as pb

AUTHORIZATION_KEY: Final = "authorization"
# The trailer that says which AgentError ended a call.
ERROR_KEY: Final = "omni-metal-error"
# A dead connection is noticed within 30 s: 20 until the ping, 10 for its answer. The third option is needed as well:
# by itself gRPC waits a minute for the answer to a ping.
KEEPALIVE: Final = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)


def to_wire(ticket: WipeTicket) -> pb.WipeTicket:
    """The message of a ticket."""
    return pb.WipeTicket(
        wipe_id=ticket.wipe_id,
        install_event_id=ticket.install_event_id,
        node_unique_token=ticket.node_unique_token,
        wipe_status_version=ticket.wipe_status_version,
    )


def from_wire(ticket: pb.WipeTicket) -> WipeTicket:
    """The ticket of a message."""
    return WipeTicket(
        wipe_id=ticket.wipe_id,
        install_event_id=ticket.install_event_id,
        node_unique_token=ticket.node_unique_token,
        wipe_status_version=ticket.wipe_status_version,
    )

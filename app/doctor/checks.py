"""What the doctor looks at, in the order in which it tells it. A check that is added here is done and shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.doctor import account, address, factory, ipxe, netboot, port_holders, processes, queues, reach, redis_server
from app.doctor.finding import Finding, failed_as_said, ok
from app.doctor.runner import Check
from app.doctor.site import Site
from app.start_checks import KEY

OMNI_OPTIONS: Final = ("omni-api-endpoint", "insecure-skip-tls-verify")
ADDRESS_OPTIONS: Final = ("api-advertise-address", "api-listen-address", "api-port")
PORT_OPTIONS: Final = (*ADDRESS_OPTIONS[1:], "gateway-listen", "flower-listen", "tls-enabled", "tls-api-port")
IPXE_OPTIONS: Final = ("disable-dhcp-proxy", "ipxe-path", "tls-custom-ipxe-ca-cert-file", "state-dir")
NETBOOT_OPTIONS: Final = (
    *("disable-dhcp-proxy", "disable-dhcp-proxy-broadcast", "dhcp-proxy-iface-or-ip"),
    *("api-advertise-address", "netboot-user"),
)
REDIS_OPTIONS: Final = ("redis-url", "state-dir")


def look_at_options(site: Site) -> Sequence[Finding]:
    """All that is wrong with the options; what is wrong with the key is said where it is looked at."""
    found = [failed_as_said(wrong.words) for wrong in site.wrong if wrong.option != KEY]
    return found or [ok("nothing is wrong with them")]


# The limits: what a check waits for at most, and a second for a host that is busy. The longest way through those that
# need each other must stay below the limit of the whole.
CHECKS: Final = (
    Check("options", look_at_options, 2.0),
    Check("omni", reach.look, 8.0, options=OMNI_OPTIONS),
    Check("clock", account.look_at_clock, 7.0, needs=("omni",), options=OMNI_OPTIONS),
    Check("key", account.look_at_key, 3.0, options=("id",)),
    Check("signature", account.look_at_signature, 10.0, needs=("omni", "key"), options=("id", *OMNI_OPTIONS)),
    Check("registration", account.look_at_registration, 10.0, needs=("signature",)),
    Check(
        "image-factory",
        factory.look,
        12.0,
        options=("image-factory-base-url", "image-factory-pxe-base-url", "agent-mode-talos-version"),
    ),
    Check("redis", redis_server.look, 8.0, options=REDIS_OPTIONS),
    Check("queues", queues.look, 12.0, needs=("redis",)),
    Check("processes", processes.look, 10.0, needs=("redis",), options=ADDRESS_OPTIONS),
    Check("ports", port_holders.look, 8.0, options=PORT_OPTIONS),
    Check("netboot", netboot.look, 8.0, options=NETBOOT_OPTIONS),
    Check("ipxe", ipxe.look, 5.0, options=IPXE_OPTIONS),
    Check("address", address.look, 8.0, options=ADDRESS_OPTIONS),
)

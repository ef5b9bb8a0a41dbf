"""The options of `omni-metal`, as one table: everything else about options is derived from it.

A default is written as an operator would write it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

ENVIRONMENT_PREFIX: Final = "OMNI_METAL_"


class Kind(enum.Enum):
    """What the text of an option is read as."""

    TEXT = "text"
    NAME = "name"
    SWITCH = "true or false"
    NUMBER = "number"
    PORT = "port"
    DURATION = "duration"
    CHOICE = "choice"
    LABELS = "labels"
    NETWORKS = "networks"
    PATH = "path"
    URL = "URL"
    OMNI_URL = "URL of Omni"
    REDIS_URL = "Redis URL"
    HOST = "address"
    HOST_PORT = "address:port"
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class Option:
    """One option: a command line flag, an environment variable and a key of the YAML file."""

    name: str
    kind: Kind
    default: str
    help: str
    choices: tuple[str, ...] = ()
    minimum: str = ""
    maximum: str = ""
    environment: str = ""
    environment_only: bool = False
    secret: bool = False
    default_help: str = ""

    @property
    def attribute(self) -> str:
        """The name in `Settings`; durations carry their unit."""
        return self.name.replace("-", "_") + ("_s" if self.kind is Kind.DURATION else "")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return self.environment or ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")

    @property
    def flag(self) -> str:
        """How to name the option to a person."""
        return self.variable if self.environment_only else f"--{self.name}"


@dataclass(frozen=True, slots=True)
class Group:
    """Options that belong together in help and documentation."""

    title: str
    options: tuple[Option, ...]


def _switch(name: str, help_text: str, *, default: bool = False) -> Option:
    return Option(name, Kind.SWITCH, "true" if default else "false", help_text)


OMNI = Group(
    "Omni",
    (
        Option("id", Kind.NAME, "bare-metal", "Provider id; selects the machines and the namespace of this provider."),
        Option(
            "omni-api-endpoint",
            Kind.OMNI_URL,
            "",
            "Address of Omni, https://HOST[:PORT], or http:// (grpc://) without TLS. Required.",
            environment="OMNI_ENDPOINT",
        ),
        Option(
            "service-account-key",
            Kind.TEXT,
            "",
            "Key of the provider's service account, from the environment only; required with https://.",
            environment="OMNI_SERVICE_ACCOUNT_KEY",
            environment_only=True,
            secret=True,
        ),
        _switch("insecure-skip-tls-verify", "Do not verify Omni's certificate: trust the one that it serves."),
        Option("provider-name", Kind.TEXT, "Bare Metal", "Name shown in Omni."),
        Option("provider-description", Kind.TEXT, "Bare metal infrastructure provider", "Description shown in Omni."),
        Option("machine-labels", Kind.LABELS, "", "Labels of every machine in Omni: k=v,k2,k3=v3."),
        _switch(
            "status-labels",
            "Tell in labels of each machine in Omni: phase, last-error, bmc-address, bmc-protocol, wiped-at.",
            default=True,
        ),
        _switch("enable-resource-cache", "Accepted and ignored: boots are always answered from the mirror."),
        _switch("force-takeover", "Start although another provider reports under the same id."),
    ),
)

ADDRESSES = Group(
    "Addresses",
    (
        Option("api-listen-address", Kind.HOST, "", "Address to listen on.", default_help="all addresses"),
        Option(
            "api-advertise-address",
            Kind.HOST,
            "",
            "Address under which machines reach this program.",
            default_help="the only routable address",
        ),
        Option("api-port", Kind.PORT, "50042", "Port of HTTP and gRPC."),
        Option(
            "api-token",
            Kind.TEXT,
            "",
            "Bearer token of the API and the pages; without one, loopback only.",
            secret=True,
        ),
        Option("gateway-listen", Kind.HOST_PORT, "127.0.0.1:50044", "Where workers reach the agent gateway."),
        Option("web-workers", Kind.NUMBER, "2", "Processes that answer HTTP.", minimum="1"),
    ),
)

FLOWER = Group(
    "Flower",
    (
        Option("flower-listen", Kind.HOST_PORT, "127.0.0.1:5555", "Where Flower, the history of all tasks, listens."),
        Option(
            "flower-password",
            Kind.TEXT,
            "",
            "Password of Flower's user `admin`.",
            secret=True,
            default_help="made at the first start, in the file `flower-password` of the state directory",
        ),
        Option(
            "flower-url",
            Kind.URL,
            "",
            "Address of Flower, linked on the pages.",
            default_help="http://FLOWER-LISTEN under `run` and `lab`, else none",
        ),
        _switch("disable-flower", "Run without Flower."),
    ),
)

BOOT = Group(
    "Boot",
    (
        Option("image-factory-base-url", Kind.URL, "https://factory.talos.dev", "Image factory, for schematics."),
        Option(
            "image-factory-pxe-base-url", Kind.URL, "https://pxe.factory.talos.dev", "Image factory, for boot scripts."
        ),
        Option("agent-mode-talos-version", Kind.VERSION, "v1.13.7", "Talos version of agent mode."),
        Option(
            "boot-from-disk-method",
            Kind.CHOICE,
            "ipxe-exit",
            "How a machine is told to boot its disk.",
            choices=("ipxe-exit", "http-404", "ipxe-sanboot"),
        ),
        _switch("secure-boot-enabled", "Boot secure boot images; needs --ipmi-pxe-boot-mode uefi and no local assets."),
        _switch("use-local-boot-assets", "Boot agent mode from files instead of the image factory."),
        Option("boot-assets-path", Kind.PATH, "/assets", "Folder of the local boot assets."),
        Option(
            "extra-machine-config-path",
            Kind.PATH,
            "",
            "File of documents to add to the machine configuration; a change of it is taken over without a restart.",
        ),
        _switch("config-match-address", "Serve /config only to the address that fetched the boot script."),
        _switch("config-open", "Serve /config to everyone."),
        Option(
            "boot-rate-limit",
            Kind.NUMBER,
            "1000",
            "Requests a second from one address, over a burst of ten times as many; 0: no limit.",
            minimum="0",
        ),
    ),
)

NETBOOT = Group(
    "DHCP proxy and TFTP",
    (
        Option(
            "dhcp-proxy-iface-or-ip",
            Kind.TEXT,
            "",
            "Interface of the DHCP proxy, or an address on it.",
            default_help="the advertise address",
        ),
        _switch("disable-dhcp-proxy", "Run without DHCP proxy and TFTP."),
        _switch("disable-dhcp-proxy-broadcast", "Do not answer broadcasts on port 67."),
        _switch("tftp-single-port", "Send files from port 69 itself, for deployments that publish one UDP port."),
        Option(
            "ipxe-path",
            Kind.PATH,
            "",
            "Folder of the iPXE binaries, such as undionly.kpxe and snponly.efi.",
            default_help="`ipxe` in the state directory, else the image's own",
        ),
        Option("netboot-user", Kind.TEXT, "nobody", "User that DHCP proxy and TFTP become once their ports are open."),
    ),
)

MACHINES = Group(
    "Machines and operations",
    (
        Option(
            "min-reboot-interval",
            Kind.DURATION,
            "15m",
            "Least time between power-on and power-off or reboot.",
            minimum="0",
        ),
        _switch("wipe-with-zeroes", "Write zeroes over whole disks."),
        Option("max-concurrent-wipes", Kind.NUMBER, "0", "Wipes at a time, in all; 0: no bound.", minimum="0"),
        Option(
            "max-power-ons-per-minute", Kind.NUMBER, "0", "Power-ons and reboots a minute; 0: no limit.", minimum="0"
        ),
        Option(
            "operation-attempts", Kind.NUMBER, "5", "Failed attempts after which an operation is parked.", minimum="1"
        ),
        Option(
            "parked-retry-interval",
            Kind.DURATION,
            "30m",
            "When a parked operation is tried again; 0: never.",
            minimum="0",
        ),
        Option(
            "power-poll-interval",
            Kind.DURATION,
            "30s",
            "How often the power state of all machines is read.",
            minimum="100ms",
            maximum="2m",
        ),  # a reading counts for five minutes
        _switch("agent-test-mode", "Agents manage power over the HTTP API kind."),
        Option("agent-call-timeout", Kind.DURATION, "30s", "Limit of a call to an agent.", minimum="1ms"),
        Option("agent-fast-wipe-timeout", Kind.DURATION, "5m", "Limit of a fast wipe.", minimum="1ms"),
        Option("agent-zeroes-wipe-timeout", Kind.DURATION, "24h", "Limit of a wipe with zeroes.", minimum="1ms"),
    ),
)

BMC = Group(
    "BMCs",
    (
        Option("api-power-mgmt-state-dir", Kind.PATH, "", "Folder of the files that name API BMCs."),
        Option(
            "bmc-allowed-cidrs",
            Kind.NETWORKS,
            "",
            "Networks in which BMCs may be that agents name: 10.1.0.0/16,fd00::/64. "
            "Loopback addresses only where a network within loopback holds them.",
            default_help="all",
        ),
        Option(
            "ipmi-min-interval",
            Kind.DURATION,
            "1s",
            "Least time between two IPMI sessions with one BMC.",
            minimum="0",
            maximum="1m",
        ),
        Option("ipmi-pxe-boot-mode", Kind.CHOICE, "uefi", "Firmware mode of a PXE boot.", choices=("uefi", "bios")),
        _switch("redfish-use-always", "Never use IPMI."),
        _switch("redfish-use-when-available", "Use Redfish where it answers, else IPMI.", default=True),
        _switch("redfish-use-https", "Speak Redfish over https.", default=True),
        _switch("redfish-insecure-skip-tls-verify", "Do not verify certificates of BMCs.", default=True),
        Option("redfish-port", Kind.PORT, "443", "Port of Redfish."),
        _switch(
            "redfish-set-boot-source-override-mode",
            "Set the boot mode with the boot source; some BMCs refuse it.",
            default=True,
        ),
    ),
)

TLS = Group(
    "TLS",
    (
        _switch("tls-enabled", "Serve agents over TLS, on a port of its own; each boot then holds the join token."),
        Option("tls-api-port", Kind.PORT, "50043", "Port of gRPC over TLS."),
        _switch("tls-agent-skip-verify", "Agents do not verify our certificate."),
        Option("tls-ca-ttl", Kind.DURATION, "262800h", "Life of our own CA, kept in Omni (30 years).", minimum="5m"),
        Option(
            "tls-cert-ttl",
            Kind.DURATION,
            "24h",
            "Life of a certificate of our own CA; renewed when a tenth of it is left.",
            minimum="5m",
        ),
        Option(
            "tls-ca-cert-file",
            Kind.PATH,
            "",
            "CA of the certificate in --tls-cert-file; machines are told to trust it.",
        ),
        Option(
            "tls-cert-file",
            Kind.PATH,
            "",
            "Certificate to show instead of one of our own CA; read anew when it changes. Needs --tls-key-file.",
        ),
        Option("tls-key-file", Kind.PATH, "", "Key of the certificate; needs --tls-cert-file."),
        Option("tls-custom-ipxe-ca-cert-file", Kind.PATH, "", "CA of RSA that iPXE trusts for https; not for BIOS."),
    ),
)

PROGRAM = Group(
    "This program",
    (
        Option("config", Kind.PATH, "", "YAML file with options; the command line and the environment beat it."),
        Option(
            "state-dir",
            Kind.PATH,
            "",
            "Folder for what should outlive a restart.",
            default_help="$XDG_STATE_HOME/omni-metal, else ~/.local/state/omni-metal",
        ),
        Option(
            "redis-url",
            Kind.REDIS_URL,
            "redis://127.0.0.1:6379/0",
            "Redis to use, redis://, rediss:// or unix://.",
            secret=True,
            default_help="`run` and `lab` start their own; else redis://127.0.0.1:6379/0",
        ),
        _switch("debug", "Readable log with debug lines instead of JSON."),
    ),
)

GROUPS: Final = (PROGRAM, OMNI, ADDRESSES, FLOWER, BOOT, NETBOOT, MACHINES, BMC, TLS)
OPTIONS: Final[dict[str, Option]] = {option.name: option for group in GROUPS for option in group.options}

"""Settings: what an operator may set, checked together before anything is started.

    settings = load(sys.argv[2:], os.environ)

Whatever is wrong, in whichever place, is said in one message, each with its place and its remedy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from marshmallow import ValidationError

from config import defaults, paths
from config.addresses import routable_addresses
from config.commandline import parse_command_line
from config.forgetting import without_secrets
from config.options import OPTIONS, Kind
from config.schema import UNLESS_GIVEN, OptionsSchema
from config.sources import Given, Sources, gather
from config.values import FALSE, TRUE, Network

# A wrong value is shown up to this length: enough to find it again, too little to fill a screen.
LONGEST_SHOWN: Final = 60
# Neither has a place in these URLs, and both are where people put secrets.
LOGIN_OR_QUERY: Final = re.compile(r"(?<=//).*(?=@)|(?<=\?).*")


class SettingsError(Exception):
    """Something is wrong with the settings; the text names all of it."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong with the settings. option: the name of the option; '' where it is none that we know.

    words: the place, what is wrong with it, and the remedy; no value of a secret.
    """

    option: str
    words: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of every option of config/options.py, durations in seconds."""

    omni_api_endpoint: str = defaults.text("omni-api-endpoint")
    id: str = defaults.text("id")
    service_account_key: str = field(default=defaults.text("service-account-key"), repr=False)
    insecure_skip_tls_verify: bool = defaults.switch("insecure-skip-tls-verify")
    provider_name: str = defaults.text("provider-name")
    provider_description: str = defaults.text("provider-description")
    machine_labels: Mapping[str, str] = field(default_factory=lambda: defaults.labels("machine-labels"))
    status_labels: bool = defaults.switch("status-labels")
    enable_resource_cache: bool = defaults.switch("enable-resource-cache")
    force_takeover: bool = defaults.switch("force-takeover")

    api_listen_address: str = defaults.text("api-listen-address")
    api_advertise_address: str = defaults.text("api-advertise-address")
    api_port: int = defaults.number("api-port")
    api_token: str = field(default=defaults.text("api-token"), repr=False)
    gateway_listen: str = defaults.text("gateway-listen")
    web_workers: int = defaults.number("web-workers")

    flower_listen: str = defaults.text("flower-listen")
    flower_password: str = field(default=defaults.text("flower-password"), repr=False)
    flower_url: str = defaults.text("flower-url")
    disable_flower: bool = defaults.switch("disable-flower")

    image_factory_base_url: str = defaults.text("image-factory-base-url")
    image_factory_pxe_base_url: str = defaults.text("image-factory-pxe-base-url")
    agent_mode_talos_version: str = defaults.text("agent-mode-talos-version")
    boot_from_disk_method: str = defaults.text("boot-from-disk-method")
    secure_boot_enabled: bool = defaults.switch("secure-boot-enabled")
    use_local_boot_assets: bool = defaults.switch("use-local-boot-assets")
    boot_assets_path: Path | None = defaults.path("boot-assets-path")
    extra_machine_config_path: Path | None = defaults.path("extra-machine-config-path")
    config_match_address: bool = defaults.switch("config-match-address")
    config_open: bool = defaults.switch("config-open")
    boot_rate_limit: int = defaults.number("boot-rate-limit")

    dhcp_proxy_iface_or_ip: str = defaults.text("dhcp-proxy-iface-or-ip")
    disable_dhcp_proxy: bool = defaults.switch("disable-dhcp-proxy")
    disable_dhcp_proxy_broadcast: bool = defaults.switch("disable-dhcp-proxy-broadcast")
    tftp_single_port: bool = defaults.switch("tftp-single-port")
    ipxe_path: Path | None = defaults.path("ipxe-path")
    netboot_user: str = defaults.text("netboot-user")

    min_reboot_interval_s: float = defaults.seconds("min-reboot-interval")
    wipe_with_zeroes: bool = defaults.switch("wipe-with-zeroes")
    max_concurrent_wipes: int = defaults.number("max-concurrent-wipes")
    max_power_ons_per_minute: int = defaults.number("max-power-ons-per-minute")
    operation_attempts: int = defaults.number("operation-attempts")
    parked_retry_interval_s: float = defaults.seconds("parked-retry-interval")
    power_poll_interval_s: float = defaults.seconds("power-poll-interval")
    agent_test_mode: bool = defaults.switch("agent-test-mode")
    agent_call_timeout_s: float = defaults.seconds("agent-call-timeout")
    agent_fast_wipe_timeout_s: float = defaults.seconds("agent-fast-wipe-timeout")
    agent_zeroes_wipe_timeout_s: float = defaults.seconds("agent-zeroes-wipe-timeout")

    api_power_mgmt_state_dir: Path | None = defaults.path("api-power-mgmt-state-dir")
    bmc_allowed_cidrs: tuple[Network, ...] = defaults.networks("bmc-allowed-cidrs")
    ipmi_min_interval_s: float = defaults.seconds("ipmi-min-interval")
    ipmi_pxe_boot_mode: str = defaults.text("ipmi-pxe-boot-mode")
    redfish_use_always: bool = defaults.switch("redfish-use-always")
    redfish_use_when_available: bool = defaults.switch("redfish-use-when-available")
    redfish_use_https: bool = defaults.switch("redfish-use-https")
    redfish_insecure_skip_tls_verify: bool = defaults.switch("redfish-insecure-skip-tls-verify")
    redfish_port: int = defaults.number("redfish-port")
    redfish_set_boot_source_override_mode: bool = defaults.switch("redfish-set-boot-source-override-mode")

    tls_enabled: bool = defaults.switch("tls-enabled")
    tls_api_port: int = defaults.number("tls-api-port")
    tls_agent_skip_verify: bool = defaults.switch("tls-agent-skip-verify")
    tls_ca_ttl_s: float = defaults.seconds("tls-ca-ttl")
    tls_cert_ttl_s: float = defaults.seconds("tls-cert-ttl")
    tls_ca_cert_file: Path | None = defaults.path("tls-ca-cert-file")
    tls_cert_file: Path | None = defaults.path("tls-cert-file")
    tls_key_file: Path | None = defaults.path("tls-key-file")
    tls_custom_ipxe_ca_cert_file: Path | None = defaults.path("tls-custom-ipxe-ca-cert-file")

    config: Path | None = defaults.path("config")
    state_dir: Path = field(default_factory=lambda: paths.default_state_dir(os.environ))
    redis_url: str = field(default=defaults.text("redis-url"), repr=False)
    debug: bool = defaults.switch("debug")
    given: frozenset[str] = frozenset()
    """Names of the options that the operator set, in whichever place."""

    @property
    def run_dir(self) -> Path:
        """The folder of the unix sockets; made when it is missing."""
        return paths.run_dir(self.state_dir)


Further = Callable[["Settings"], Iterable[tuple[str, str]]]
"""Looks closer at settings: gives the name of an option with what is wrong with it and the remedy, for each."""


def load(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    client: bool = False,
    without_omni: bool = False,
    further: Further = lambda _: (),
) -> Settings:
    """Read the settings of a command.

    Args:
        argv: options and nothing else.
        environ: the environment.
        client: the command looks at a running provider only: it needs neither Omni nor an address of its own.
        without_omni: the process needs an address of its own, but never asks Omni, and is to know no secret.
        further: finds what this package cannot know; an option that is wrong has its default there.

    Raises:
        SettingsError: naming everything that is wrong.
    """
    settings, wrong = examine(argv, environ, client=client, without_omni=without_omni, further=further)
    if wrong:
        many = "1 setting is" if len(wrong) == 1 else f"{len(wrong)} settings are"
        raise SettingsError("\n".join([f"{many} wrong, nothing was started:", *(f"  {w.words}" for w in wrong)]))
    return without_secrets(settings) if without_omni else settings


def examine(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    client: bool = False,
    without_omni: bool = False,
    further: Further = lambda _: (),
) -> tuple[Settings, tuple[Wrong, ...]]:
    """Read the settings of a command like `load`; what is wrong by itself has its default in them."""
    line = parse_command_line(argv)
    sources = gather(line, environ)
    values, wrong = _check(sources)
    if values["state_dir"] is None:
        values["state_dir"] = paths.default_state_dir(environ)
    if not client:
        wrong += [] if without_omni else _missing_omni(sources)
        wrong += _fill_in_address(values, sources)
    settings = Settings(**values, given=frozenset(sources.given))
    wrong += [_wrong(name, sources, reason) for name, reason in further(settings)]
    of_no_option = [Wrong("", text) for text in (*sources.problems, *map(_stray, line.words))]
    of_file = [Wrong("config", sources.file_problem)] if sources.file_problem else []
    return settings, (*of_no_option, *of_file, *wrong)


def _check(sources: Sources) -> tuple[dict[str, Any], list[Wrong]]:
    raw = {OPTIONS[name].attribute: given.value for name, given in sources.given.items()}
    try:
        return OptionsSchema().load(raw), []
    except ValidationError as error:
        found = cast("dict[str, list[str]]", error.messages)
        valid = error.valid_data if isinstance(error.valid_data, dict) else {}
    wrong = [
        _wrong(name, sources, reason) for name, option in OPTIONS.items() for reason in found.get(option.attribute, [])
    ]
    return UNLESS_GIVEN | valid, wrong


def _missing_omni(sources: Sources) -> list[Wrong]:
    words = "--omni-api-endpoint: is required; set it, or OMNI_ENDPOINT, to the address of Omni"
    return [] if _is_set("omni-api-endpoint", sources) else [Wrong("omni-api-endpoint", words)]


def _fill_in_address(values: dict[str, Any], sources: Sources) -> list[Wrong]:
    """Find out the address when none is set."""
    if _is_set("api-advertise-address", sources):
        return []
    addresses = routable_addresses()
    if len(addresses) == 1:
        values["api_advertise_address"] = addresses[0]
        return []
    found = f"is not clear, there are {', '.join(addresses)}" if addresses else "was not found"
    words = f"--api-advertise-address: a routable address {found}; name the one that machines reach"
    return [Wrong("api-advertise-address", words)]


def _stray(word: str) -> str:
    if word in TRUE | FALSE:
        return f"{word} (command line): a switch takes its value after an equals sign, as in --debug={word}"
    return f"{word} (command line): no option; see omni-metal --help"


def _is_set(name: str, sources: Sources) -> bool:
    return name in sources.given and sources.given[name].value != ""


def _wrong(name: str, sources: Sources, reason: str) -> Wrong:
    return Wrong(name, f"{_named(name, sources.given.get(name))}: {reason}")


def _named(name: str, given: Given | None) -> str:
    option = OPTIONS[name]
    if given is None:
        return option.flag
    if option.secret:
        return f"{option.flag} ({given.place})"
    shown = LOGIN_OR_QUERY.sub("…", str(given.value)) if option.kind in (Kind.URL, Kind.OMNI_URL) else str(given.value)
    shown = shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "…"
    return f"{option.flag}={shown if shown.isprintable() else ascii(shown)} ({given.place})"

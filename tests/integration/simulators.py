"""BMCs that others wrote: OpenIPMI's ipmi_sim, pyghmi's fakebmc and OpenStack's sushy-emulator.

Each is looked at, and switched by hand, by another way than ours: the chassis script of ipmi_sim, ipmitool, curl, and
what they write themselves. `told()` answers with what one was ordered since the last time, ours and by hand.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

from lab.omni.certificates import make_certificate
from protos.gen.omni import specs_pb2
from tests.free_ports import free_port
from tests.integration.children import MARK, wait_until
from tests.integration.udp_relay import UdpRelay

UP_S = 20  # a Python process on two busy cores
TOOL_S = 20
UNAUTHORIZED = re.compile(r'" 401 ')
# What each calls an order.
IPMI_SIM_ORDERS = {"power 1": "on", "power 0": "off", "boot pxe": "pxe", "reset 1": "reset"}
FAKEBMC_ORDERS = {"powered on": "on", "abruptly remove power": "off"}
EMULATOR_ORDERS = {"On": "on", "ForceOff": "off", "ForceRestart": "cycle", "Pxe": "pxe"}

CHASSIS = """#!/bin/sh
# How ipmi_sim reaches its machine: `get NAME...` prints NAME:VALUE, `set NAME VALUE...` does it.
cd "$(dirname "$0")"
verb=$1; shift
while [ $# -gt 0 ]; do
    case $verb in
        get) echo "$1:$(cat "$1")"; shift ;;
        set) echo "$1 $2" >>told; [ "$1" = reset ] || echo "$2" >"$1"; shift 2 ;;
        *) exit 0 ;;
    esac
done
"""
LAN_CONF = """name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{chassis}"
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""
LAN_EMU = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""
# Its power takes 1 to 11 s by chance: with this seed 2, 1, 8, 2, 1, 4 s.
EMULATE = """import random, sys
from sushy_tools.emulator.main import main
random.seed(14963)
sys.exit(main())
"""
EMULATOR = """import logging
logging.basicConfig(level=logging.INFO)
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_LISTEN_IP = {host!r}
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_SSL_CERT = {cert!r}
SUSHY_EMULATOR_SSL_KEY = {key!r}
SUSHY_EMULATOR_AUTH_FILE = {auth!r}
SUSHY_EMULATOR_STATE_DIR = {folder!r}
SUSHY_EMULATOR_FAKE_SYSTEMS = {systems!r}
"""


class Simulator:
    """One simulator with one machine of ours; as a context manager."""

    name = missing = ""
    cycles = True
    power_takes_s = 1.0
    user, password = "admin", "password"

    def __init__(self, folder, machine_id):
        self.folder, self.machine_id = folder, machine_id
        folder.mkdir()
        self.log = folder / "log"
        self._process = None
        self._seen = 0

    def __enter__(self):
        with self.log.open("wb") as log:
            environ = {**os.environ, MARK: str(self.folder.parent), "PYTHONUNBUFFERED": "1"}
            self._process = subprocess.Popen(self.command(), cwd=self.folder, env=environ, stdout=log, stderr=log)
        try:
            wait_until(self._is_up, UP_S)
        except BaseException:
            self.__exit__()
            raise
        self.told()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def login(self, password=None):
        """What a user gives in Omni. password: None is the right one."""
        ipmi = specs_pb2.InfraMachineBMCConfigSpec.IPMI(username=self.user, password=password or self.password)
        ipmi.address, ipmi.port = self.place()
        return specs_pb2.InfraMachineBMCConfigSpec(ipmi=ipmi)

    def _is_up(self):
        assert self._process.poll() is None, self.log.read_text()
        try:
            self.powered_on()
        except (subprocess.CalledProcessError, ValueError):
            return False
        return True

    def _lines_since(self, path):
        """The lines of a file that were not looked at yet."""
        lines = path.read_text(errors="replace").splitlines()
        seen, self._seen = self._seen, len(lines)
        return lines[seen:]


class IpmiSimulator(Simulator):
    """One that speaks IPMI, behind a relay that counts logins."""

    def __enter__(self):
        self._port = free_port()
        super().__enter__()
        self.relay = UdpRelay(("127.0.0.1", self._port))
        return self

    def __exit__(self, *_):
        if hasattr(self, "relay"):
            self.relay.close()
        super().__exit__()

    def place(self):
        return "127.0.0.1", self.relay.port

    def logins(self):
        """How many sessions were asked for through the relay."""
        return self.relay.sessions

    def ask(self, *words):
        """What ipmitool gets out of it."""
        login = ["-H", "127.0.0.1", "-p", str(self._port), "-U", self.user, "-P", self.password]
        command = ["ipmitool", "-I", "lanplus", "-C", "3", "-N", "2", "-R", "2", *login, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S, check=True).stdout

    def powered_on(self):
        return {"on": True, "off": False}[self.ask("chassis", "power", "status").split()[-1]]

    def switch(self, state):
        """A person's hand on it."""
        self.ask("chassis", "power", state)


class IpmiSim(IpmiSimulator):
    """OpenIPMI's, with a chassis script that keeps a log. It does not show the EFI flag, nor that an arm is valid."""

    name = "ipmi_sim"
    cycled = ("off", "on")  # a second later
    missing = "" if shutil.which("ipmi_sim") and shutil.which("ipmitool") else "ipmi_sim and ipmitool: apt-get install"

    def command(self):
        chassis = self.folder / "chassis"
        chassis.write_text(CHASSIS)
        chassis.chmod(0o755)
        words = {"port": self._port, "chassis": chassis, "user": self.user, "password": self.password}
        files = {"lan.conf": LAN_CONF.format(**words), "lan.emu": LAN_EMU, "power": "0", "boot": "none", "told": ""}
        for name, text in files.items():
            (self.folder / name).write_text(text)
        (self.folder / "state").mkdir()
        return ["ipmi_sim", "-c", "lan.conf", "-f", "lan.emu", "-s", "state", "-n"]

    def told(self):
        return [IPMI_SIM_ORDERS[order] for order in self._lines_since(self.folder / "told")]


class FakeBmc(IpmiSimulator):
    """pyghmi's. It knows no cycle; it tells of its power, and is asked what it would boot from."""

    name = "fakebmc"
    missing = "" if shutil.which("ipmitool") else "ipmitool: apt-get install"
    cycles = False

    def command(self):
        return [sys.executable, "-m", "pyghmi.cmd.fakebmc", f"--port={self._port}"]

    def told(self):
        armed = "Force PXE" in self.ask("chassis", "bootparam", "get", "5")
        if armed:
            self.ask("chassis", "bootdev", "none")
        return ["pxe"] * armed + [
            FAKEBMC_ORDERS[line] for line in self._lines_since(self.log) if line in FAKEBMC_ORDERS
        ]


class SushyEmulator(Simulator):
    """OpenStack's, with two machines under one root of Redfish, and TLS. Its power takes 1 to 11 seconds."""

    name = "sushy-emulator"
    missing = "" if importlib.util.find_spec("sushy_tools") and shutil.which("curl") else "sushy-tools and curl"
    power_takes_s = 12.0
    SAID = re.compile(r'power state set to "(\w+)"|Set boot device to "(\w+)"')
    cycled = ("cycle",)
    host = "127.0.0.2"  # of its own, since all BMCs have Redfish at one port
    port = 0

    def command(self):
        import bcrypt  # of sushy-tools

        certificate = make_certificate(self.host)
        for name, text in (("cert", certificate.pem), ("key", certificate.key_pem)):
            (self.folder / name).write_bytes(text)
        digest = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4)).decode()
        (self.folder / "auth").write_text(f"{self.user}:{digest}\n")
        other = "00000000-0000-4000-8000-000000000001"
        systems = [
            {"uuid": uuid, "name": name, "power_state": "Off", "nics": []}
            for name, uuid in (("another", other), ("ours", self.machine_id))
        ]
        files = {name: str(self.folder / name) for name in ("cert", "key", "auth")}
        words = {**files, "host": self.host, "port": self.port, "folder": str(self.folder), "systems": systems}
        (self.folder / "config").write_text(EMULATOR.format(**words))
        return [sys.executable, "-c", EMULATE, "--config", str(self.folder / "config")]

    def place(self):
        return self.host, 623

    def logins(self):
        """How many requests it refused for their login."""
        return len(UNAUTHORIZED.findall(self.log.read_text()))

    def ask(self, *words):
        """What curl gets out of it."""
        url = f"https://{self.host}:{self.port}/redfish/v1/Systems/{self.machine_id}"
        command = ["curl", "-sSfk", "--noproxy", "*", "-u", f"{self.user}:{self.password}", *words[1:], url + words[0]]
        return subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S, check=True).stdout

    def powered_on(self):
        return {"On": True, "Off": False}[json.loads(self.ask(""))["PowerState"]]

    def switch(self, state):
        """A person's hand on it, until it is so."""
        order = json.dumps({"ResetType": {"on": "On", "off": "ForceOff"}[state]})
        self.ask("/Actions/ComputerSystem.Reset", "-d", order, "-H", "Content-Type: application/json")
        wait_until(lambda: self.powered_on() is (state == "on"), self.power_takes_s + TOOL_S)

    def told(self):
        lines = "\n".join(line for line in self._lines_since(self.log) if self.machine_id in line)
        return [EMULATOR_ORDERS.get(word, word) for said in self.SAID.findall(lines) for word in said if word]

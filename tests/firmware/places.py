"""The networks that machines of the firmware tests boot from, each with a DHCP server of its own."""

import enum
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.firmware.dnsmasq import start_dnsmasq
from tests.firmware.downloads import downloads
from tests.firmware.hosts import Host, Lan
from tests.firmware.site import Site, environ
from tests.integration.children import wait_until

# What stands in the file of kernel arguments among the local boot assets.
ASSETS_WORDS = "talos.platform=metal omni-metal-test=local-assets"
NETBOOT_UP_S = 30


class Place(enum.StrEnum):
    """Where a machine boots."""

    SITE = "DHCP server on another host"
    ASSETS = "DHCP server beside us at port 67; local assets; single-port TFTP; TLS"
    SEGMENT = "DHCP server with port 67 for itself; netboot at 4011 alone, apart from web"


class Places:
    """Use as a context manager, and `open` what is needed in the thread that ends last."""

    def __init__(self, folder):
        self._folder = folder
        self._all = ExitStack()
        self.lans = {}
        self.sites = {}
        self.logs = {}

    def __enter__(self):
        return self

    def __exit__(self, *ended):
        self._all.__exit__(*ended)
        for site in self.sites.values():
            assert site.processes() == {}, "processes were left behind"

    def open(self, wanted):
        """Set up those of these places that are not, and what they need, and wait until machines can boot there."""
        wanted = wanted - self.lans.keys()
        if Place.SITE in wanted or (Place.SEGMENT in wanted and Place.SITE not in self.lans):
            self._open_site()
        if Place.ASSETS in wanted:
            self._open_assets()
        for site in self.sites.values():
            site.wait_up()
        if Place.SEGMENT in wanted:
            self._open_segment()

    def host(self, name):
        """A new host, at no LAN yet."""
        return self._all.enter_context(Host(name))

    def _lan(self, place, number):
        self.lans[place] = self._all.enter_context(Lan(number))
        return self.lans[place]

    def _site(self, place, host, address):
        site = Site(host, address, self._folder / place.name)
        self.sites[place], self.logs[place] = site, site.log
        return site

    def _open_site(self):
        lan = self._lan(Place.SITE, 71)
        servers, provider = self.host("DHCP server"), self.host("provider")
        lan.plug(servers, 1)
        start_dnsmasq(servers, lan.network, self._folder / "dnsmasq")
        address = lan.plug(provider, 2)
        provider.ip("route", "add", "default", "via", f"{lan.network}.9")
        self._site(Place.SITE, provider, address).start()

    def _open_assets(self):
        lan = self._lan(Place.ASSETS, 72)
        host = self.host("provider and DHCP server")
        address = lan.plug(host, 2)
        start_dnsmasq(host, lan.network, self._folder / "dnsmasq-beside", "--bind-interfaces", "--interface=eth0")
        assets = self._folder / "assets"
        _fill(assets)
        options = ("--use-local-boot-assets", f"--boot-assets-path={assets}", "--tftp-single-port", "--tls-enabled")
        self._site(Place.ASSETS, host, address).start(*options)

    def _open_segment(self):
        lan, router = self._lan(Place.SEGMENT, 73), self.host("router and DHCP server")
        self.lans[Place.SITE].plug(router, 9)
        address = lan.plug(router, 1, "eth1")
        router.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
        # With no interface named it takes port 67 for itself.
        start_dnsmasq(router, lan.network, self._folder / "dnsmasq-alone", "--dhcp-option-force=60,PXEClient")
        log = self.logs[Place.SEGMENT] = self._folder / "netboot"
        options = (
            f"--api-advertise-address={self.sites[Place.SITE].address}",
            f"--dhcp-proxy-iface-or-ip={address}",
            "--disable-dhcp-proxy-broadcast",
            f"--ipxe-path={downloads().ipxe}",
            f"--state-dir={self._folder / 'netboot-state'}",
        )
        process = router.start([sys.executable, "-m", "app.cli", "netboot", *options], log, environ())
        wait_until(lambda: process.poll() is not None or '"netboot_open"' in log.read_text(), NETBOOT_UP_S)
        assert process.poll() is None, log.read_text()
        self.sites[Place.SEGMENT] = self.sites[Place.SITE]


def _fill(assets: Path):
    """Make a folder of local boot assets."""
    assets.mkdir()
    fetched = downloads()
    shutil.copy(fetched.kernel("amd64"), assets / "kernel-amd64")
    shutil.copy(fetched.initramfs("amd64"), assets / "initramfs-metal-amd64.xz")
    (assets / "cmdline-metal-amd64").write_text(f"{ASSETS_WORDS}\n")

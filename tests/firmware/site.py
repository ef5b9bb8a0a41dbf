"""`omni-metal run` on a host of the firmware tests, as on a real one: with DHCP proxy and TFTP, at the usual ports."""

import os
import sys
from pathlib import Path

from tests.firmware.downloads import downloads
from tests.firmware.stand_ins import FACTORY_PORT, OMNI_PORT, PROVIDER_ID
from tests.integration.children import MARK, marked_processes, wait_until

PORT, TLS_PORT = 50042, 50043
# Ten Python processes on two processors, and machines that boot on them.
UP_S = 90


class Site:
    """A provider with stand-ins for Omni and the image factory. All of it ends with its host."""

    def __init__(self, host, address, folder):
        """host: where it runs. address: under which machines reach it. folder: a new one for what it keeps and logs."""
        folder.mkdir()
        self._host, self.address, self._folder = host, address, folder
        self.log = folder / "log"
        self.agents_dial = f"{address}:{PORT}"

    @property
    def url(self):
        return f"http://{self.address}:{PORT}"

    def start(self, *options):
        """Start all processes."""
        if "--tls-enabled" in options:
            self.agents_dial = f"https://{self.address}:{TLS_PORT}"
        own, marked = [sys.executable, "-m"], environ() | {MARK: str(self._folder)}
        self._stand_ins = self._host.start([*own, "tests.firmware.stand_ins", self.address], self.log, marked)
        factory = f"http://{self.address}:{FACTORY_PORT}"
        command = [
            *(*own, "app.cli", "run", f"--id={PROVIDER_ID}", f"--state-dir={self._folder}"),
            f"--omni-api-endpoint=http://127.0.0.1:{OMNI_PORT}",
            *(f"--image-factory-base-url={factory}", f"--image-factory-pxe-base-url={factory}"),
            *(f"--api-advertise-address={self.address}", f"--ipxe-path={downloads().ipxe}"),
            *("--disable-flower", *options),
        ]
        self._provider = self._host.start(command, self.log, marked)

    def wait_up(self):
        """Wait until machines can boot."""
        wait_until(self._is_up, UP_S)

    def processes(self):
        """All of its processes that live: pid -> command line."""
        return marked_processes(self._folder)

    def logged(self):
        """All that it has logged, as text."""
        return self.log.read_text(errors="replace")

    def _is_up(self):
        for process in (self._stand_ins, self._provider):
            assert process.poll() is None, self.logged()
        return self._host.answers(f"{self.url}/readyz") and '"netboot_open"' in self.logged()


def environ():
    """The environment of our processes: without options of ours, and with our code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
    return {**kept, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}

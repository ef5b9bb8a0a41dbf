"""Packages of Debian, of any architecture, fetched as `omni-metal ipxe` fetches its own, and never installed."""

import subprocess

from app.boot.ipxe import debian as private_apt
from app.boot.ipxe.binaries import PACKAGE
from app.errors import StartError

# Kernels have 30 MB; a mirror that needs longer is of no use.
FETCH_S = 180


class Debian:
    """The packages of the suite of our iPXE; `folder`, which must be new, holds nothing of worth afterwards.

    Raises StartError where one cannot be had.
    """

    def __init__(self, folder):
        folder.mkdir()
        mirrors = private_apt.own_mirrors("apt-get", folder)
        if not mirrors:
            raise StartError("apt here names no mirror of Debian")
        private_apt.write_sources(folder, mirrors, PACKAGE.suite)
        self._folder = folder
        self._apt("apt-get", "update")

    def depends(self, package):
        """The packages that a package needs."""
        lines = self._apt("apt-cache", "depends", package).splitlines()
        return [line.split()[1] for line in lines if line.strip().startswith("Depends:")]

    def unpack(self, package, into):
        """Fetch a package and unpack it. package: NAME:ARCHITECTURE; into: a new folder."""
        self._apt("apt-get", "download", package)
        [fetched] = self._folder.glob("*.deb")
        into.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "--extract", fetched, into], check=True, timeout=FETCH_S)
        fetched.unlink()

    def _apt(self, program, *words):
        options = [*private_apt.private_options(self._folder), "--option", "APT::Architectures=amd64,arm64"]
        done = private_apt.run_in([program, *options, *words], self._folder, FETCH_S)
        if done.returncode:
            raise StartError(f"{program} {' '.join(words)}: {done.stderr}")
        return done.stdout

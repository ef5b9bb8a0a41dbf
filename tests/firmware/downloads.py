"""What firmware tests boot, made of Debian's packages and kept in the user's cache: kernels, and iPXE.

The kernels are Debian's for clouds, that of arm64 by a foreign architecture. The initramfs of each tells the kernel's
arguments on the console and switches the machine off.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.boot.ipxe.supply import put
from tests.firmware.debian import Debian

ARCHITECTURES = ("amd64", "arm64")
# Written to the console by a kernel that was booted, with its arguments behind it.
MARKER = "omni-metal-test booted:"
# The first process of the kernel, which is kept from writing between the words of it. Where switching off does
# nothing, a reset ends QEMU too.
INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir /proc
/bin/busybox mount -t proc proc /proc
echo 1 > /proc/sys/kernel/printk
echo "{MARKER} $(/bin/busybox cat /proc/cmdline)"
/bin/busybox poweroff -f
/bin/busybox reboot -f
"""


@dataclass(frozen=True, slots=True)
class Downloads:
    """A folder with all of it."""

    folder: Path

    def kernel(self, arch):
        return self.folder / f"kernel-{arch}"

    def initramfs(self, arch):
        return self.folder / f"initramfs-{arch}"

    @property
    def bios_ipxe(self):
        """An iPXE with drivers, that starts where a kernel does."""
        return self.folder / "ipxe.lkrn"

    @property
    def ipxe(self):
        """The folder that `omni-metal ipxe` fills."""
        return self.folder / "ipxe"

    @property
    def complete(self):
        of_each = [place for arch in ARCHITECTURES for place in (self.kernel(arch), self.initramfs(arch))]
        return all(place.exists() for place in (self.bios_ipxe, *of_each))


def downloads():
    """All that is needed, fetched where it is not there. Raises StartError where it cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    fetched = Downloads(cache / "omni-metal-tests" / "firmware")
    put(fetched.ipxe)
    if not fetched.complete:
        with tempfile.TemporaryDirectory(dir=fetched.folder) as name:
            work = Path(name)
            debian = Debian(work / "apt")
            for arch in ARCHITECTURES:
                _fetch_kernel(debian, arch, work / arch, fetched)
            debian.unpack("ipxe", work / "ipxe")
            shutil.move(work / "ipxe/usr/lib/ipxe/ipxe.lkrn", fetched.bios_ipxe)
    return fetched


def _fetch_kernel(debian, arch, work, fetched):
    [package] = debian.depends(f"linux-image-cloud-{arch}:{arch}")
    debian.unpack(package if ":" in package else f"{package}:{arch}", work / "kernel")
    debian.unpack(f"busybox-static:{arch}", work / "busybox")
    [kernel] = (work / "kernel/boot").glob("vmlinuz-*")
    initramfs = work / "initramfs"
    initramfs.write_bytes(_initramfs(work / "root", work / "busybox/usr/bin/busybox"))
    initramfs.rename(fetched.initramfs(arch))
    kernel.rename(fetched.kernel(arch))


def _initramfs(root, busybox):
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin")
    init = root / "init"
    init.write_text(INIT)
    init.chmod(0o755)
    command = ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"]
    names = b".\nbin\nbin/busybox\ninit\n"
    return subprocess.run(command, cwd=root, input=names, check=True, capture_output=True).stdout

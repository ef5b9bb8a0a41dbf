"""Stand-ins for Omni and the image factory of a firmware test: `python -m tests.firmware.stand_ins ADDRESS`.

The factory serves real kernels at ADDRESS, and Omni is for its own host. Both end with a signal.
"""

import asyncio
import signal
import sys

from lab.factory import ImageFactory
from lab.omni import StandInOmni
from tests.firmware.downloads import ARCHITECTURES, downloads

PROVIDER_ID = "bare-metal"
# The host is theirs and the provider's alone.
OMNI_PORT, FACTORY_PORT = 8090, 8080


async def serve(address):
    fetched = downloads()
    kernels = {f"kernel-{arch}": fetched.kernel(arch).read_bytes() for arch in ARCHITECTURES}
    initramfs = {f"initramfs-{arch}.xz": fetched.initramfs(arch).read_bytes() for arch in ARCHITECTURES}
    omni, factory = StandInOmni(PROVIDER_ID), ImageFactory(images=kernels | initramfs)
    await omni.serve("127.0.0.1", OMNI_PORT)
    await factory.serve(address, FACTORY_PORT)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await factory.stop()
    await omni.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))

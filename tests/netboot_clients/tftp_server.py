"""Our TFTP server as a process of its own: `python -m tests.netboot_clients.tftp_server ADDRESS PORT FOLDER`.

It serves the files of FOLDER, gives up its rights as the real process does, and logs to standard error. From SIGUSR1
to SIGUSR2 the system refuses it processes.
"""

import argparse
import os
import resource
import signal
from pathlib import Path

from config import logs
from netboot.tftp.server import TftpServer
from netboot.tftp.sockets import open_socket

NOBODY = 65_534


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--single-port", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    given = parser.parse_args()
    logs.configure(debug=False, process="tftp")
    found = [path for path in given.folder.rglob("*") if path.is_file()]
    files = {str(path.relative_to(given.folder)): path.read_bytes() for path in found}
    listener = open_socket(given.address, given.port)
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    for number, processes in ((signal.SIGUSR1, 0), (signal.SIGUSR2, soft)):
        signal.signal(number, lambda *_, most=processes: resource.setrlimit(resource.RLIMIT_NPROC, (most, hard)))
    server = TftpServer(listener, files, single_port=given.single_port, dry_run=given.dry_run)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    signal.signal(signal.SIGINT, lambda *_: server.stop())
    server.serve()


if __name__ == "__main__":
    main()

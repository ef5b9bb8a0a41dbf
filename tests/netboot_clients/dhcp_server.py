"""The DHCP proxy alone, as a process: `python -m tests.netboot_clients.dhcp_server IFACE_OR_IP ADDRESS [PORT…]`.

It says `dhcp_proxy_serves` in its log when it is there. With `--dry-run` it answers nothing.
"""

import signal
import sys

from app.errors import StartError
from config import logs
from netboot.dhcp.interface import interface_for
from netboot.dhcp.proxy import DhcpProxy
from netboot.dhcp.site import Site
from netboot.dhcp.sockets import open_socket


def main(iface_or_ip, address, *ports, dry_run):
    logs.configure(debug=False, process="netboot-dhcp")
    interface = interface_for(iface_or_ip)
    sockets = {int(port): open_socket(interface, int(port)) for port in ports or (67, 4011)}
    proxy = DhcpProxy(sockets, Site(address, f"http://{address}:50042"), dry_run=dry_run)
    signal.signal(signal.SIGTERM, lambda *_: proxy.stop())
    proxy.serve()


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--dry-run"]
    try:
        main(*words, dry_run="--dry-run" in sys.argv)
    except StartError as error:
        sys.exit(str(error))

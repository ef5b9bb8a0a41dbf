"""iPXE that was told to trust a CA of our own fetches over https, and iPXE that was not does not."""

import http.server
import ssl
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.boot.ipxe.files import boot_files
from config.settings import Settings
from tests.firmware.cases import OVMF, Case
from tests.firmware.conftest import missing_for
from tests.firmware.downloads import downloads
from tests.firmware.qemu import ESCAPES, LIMIT_S, NO_IPV6, OVMF_PXE
from tests.required import need
from tests.unit.tls.certificates import make

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(2 * LIMIT_S)]

# Where a machine of QEMU's user network reaches the loopback of its host.
HOST = "10.0.2.2"
FETCHED, NOT_FETCHED = "omni-metal-test fetched over https", "omni-metal-test refused"
SCRIPT = f"#!ipxe\ndhcp\nchain https://{HOST}:%d/script.ipxe || echo {NOT_FETCHED}\npoweroff\n"


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"#!ipxe\necho {FETCHED}\npoweroff\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def https(tmp_path):
    """The CA file, and the port of a server whose certificate it has signed. It sends the CA too: iPXE needs that."""
    ca = make("own CA", ca=True, key=rsa.generate_private_key(65_537, 2048))
    leaf = make("host", ca, names=[HOST], key=rsa.generate_private_key(65_537, 2048))
    ca_file, _ = ca.write(tmp_path, "ca")
    certificate, key = leaf.write(tmp_path, "leaf")
    certificate.write_bytes(leaf.pem + ca.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.handle_error = lambda *_: None  # a client that does not trust us ends the handshake
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    yield ca_file, server.server_port
    server.shutdown()
    server.server_close()


def console(folder, files, port):
    """What a machine with UEFI says that boots these files."""
    tftp = folder / "tftp"
    tftp.mkdir()
    (tftp / "snp.efi").write_bytes(files["snp.efi"])
    (tftp / "autoexec.ipxe").write_text(SCRIPT % port)
    command = [
        *(*OVMF_PXE.command, "-m", "512", "-no-reboot", "-display", "none", "-monitor", "none"),
        *("-serial", f"file:{folder / 'serial'}", *OVMF_PXE._flash(folder), *NO_IPV6),
        *("-netdev", f"user,id=n0,tftp={tftp},bootfile=snp.efi", "-device", "virtio-net-pci,netdev=n0,romfile="),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_S)
    return ESCAPES.sub("", (folder / "serial").read_text(errors="replace"))


@pytest.mark.parametrize("own", [True, False], ids=["own CA", "iPXE's root"])
def test_ipxe_fetches_over_https_where_it_was_told_to_trust_the_ca(own, https, row, tmp_path):
    missing = missing_for(Case("", None, (), OVMF))
    need(f"not installed: {', '.join(missing)}" if missing else "")
    ca_file, port = https
    settings = Settings(
        api_advertise_address=HOST, ipxe_path=downloads().ipxe, tls_custom_ipxe_ca_cert_file=ca_file if own else None
    )
    began = time.monotonic()
    said = console(tmp_path, boot_files(settings), port)
    row(f"https with {'a CA of our own' if own else 'iPXE as it is'}: OVMF, PXE", time.monotonic() - began)
    assert (FETCHED in said, NOT_FETCHED in said) == (own, not own), said[-4000:]

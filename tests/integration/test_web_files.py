"""Boot files and local boot assets through gunicorn."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.front.peer import name_for
from config.web_threads import WITH_IMAGES
from tests.integration.children import wait_until
from tests.integration.web_site import WebSite, web_site
from tests.unit.boot.ipxe.binaries import content_of, fill

pytestmark = pytest.mark.integration

MIB = 1024 * 1024
IMAGE_BYTES = 256 * MIB
MARK = b"in the middle of a large image"
CMDLINE = "talos.platform=metal slab_nomerge"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSite]:
    folder = tmp_path_factory.mktemp("files")
    assets = folder / "assets"
    assets.mkdir()
    (assets / "kernel-amd64").write_bytes(b"kernel")
    (assets / "cmdline-metal-amd64").write_text(CMDLINE + "\n")
    with (assets / "initramfs-metal-amd64.xz").open("wb") as image:
        image.truncate(IMAGE_BYTES)  # takes no room on the disk
        image.seek(IMAGE_BYTES // 2)
        image.write(MARK)
    (folder / "secret").write_text("secret")
    (assets / "out").symlink_to(folder / "secret")
    options = ["--use-local-boot-assets", f"--boot-assets-path={assets}", f"--ipxe-path={fill(folder / 'ipxe')}"]
    with web_site(folder, "--web-workers=1", *options) as running:
        yield running


def resident_bytes(site: WebSite) -> int:
    """What the one worker holds in memory."""
    assert site.process
    pid = site.process.pid
    worker = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    return int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def connected(site: WebSite, address: str = "10.0.0.7") -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.bind(name_for(address))
    client.connect(str(site.socket))
    return client


def drained(site: WebSite, path: str) -> tuple[int, str]:
    """How many bytes a file has, and their SHA-256; nothing of it is kept."""
    with connected(site) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        body = head.partition(b"\r\n\r\n")[2]
        digest, count = hashlib.sha256(body), len(body)
        while piece := client.recv(MIB):
            digest.update(piece)
            count += len(piece)
    return count, digest.hexdigest()


def test_boot_file_comes_whole_with_head_and_ranges(site: WebSite) -> None:
    whole = content_of("snponly.efi")
    got, head = site.ask("/tftp/amd64/snp.efi"), site.ask("/tftp/amd64/snp.efi", "HEAD")
    assert (got.status, got.body) == (200, whole)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"] == str(len(whole))
    part = site.ask("/tftp/amd64/snp.efi", Range="bytes=3-9")
    assert (part.status, part.body, part.headers["Content-Length"]) == (206, whole[3:10], "7")
    assert site.ask("/tftp/amd64/snp.efi", Range=f"bytes={len(whole)}-").status == 416


def test_autoexec_is_the_init_script(site: WebSite) -> None:
    assert site.ask("/tftp/arm64/autoexec.ipxe").body == site.ask("/ipxe/init.ipxe").body


@pytest.mark.parametrize(
    "path",
    ["/assets/../secret", "/assets/%2e%2e/secret", "/assets/..%2fsecret", "/assets/out", "/assets/", "/tftp/../secret"],
)
def test_nothing_outside_is_served(site: WebSite, path: str) -> None:
    answer = site.ask(path)
    assert answer.status == 404
    assert answer.body != b"secret"


def test_machine_boots_from_local_assets_and_finds_them(site: WebSite) -> None:
    script = site.boot(str(uuid.uuid4())).text.splitlines()
    assert script[0:2] == ["#!ipxe", "imgfree"]
    assert script[2].startswith(f"kernel http://10.0.0.1:50042/assets/kernel-amd64 {CMDLINE} talos.config=")
    assert script[3:] == ["initrd http://10.0.0.1:50042/assets/initramfs-metal-amd64.xz", "boot"]
    for line in script[2:4]:
        assert site.ask(line.split()[1].removeprefix("http://10.0.0.1:50042"), "HEAD").status == 200
    assert site.factory.bodies == []


def test_range_in_the_middle_of_a_large_image_is_found_at_once(site: WebSite) -> None:
    begin = IMAGE_BYTES // 2
    part = site.ask("/assets/initramfs-metal-amd64.xz", Range=f"bytes={begin}-{begin + len(MARK) - 1}")
    assert (part.status, part.body) == (206, MARK)
    assert part.headers["Content-Range"] == f"bytes {begin}-{begin + len(MARK) - 1}/{IMAGE_BYTES}"
    tail = site.ask("/assets/initramfs-metal-amd64.xz", Range=f"bytes={begin}-")
    assert len(tail.body) == IMAGE_BYTES - begin
    assert tail.body.startswith(MARK)


def test_large_images_go_to_many_at_once_in_little_memory(site: WebSite) -> None:
    expected = hashlib.sha256(bytes(IMAGE_BYTES // 2) + MARK + bytes(IMAGE_BYTES // 2 - len(MARK))).hexdigest()
    site.ask("/assets/kernel-amd64")
    before = resident_bytes(site)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: drained(site, "/assets/initramfs-metal-amd64.xz"), range(4)))
    assert found == [(IMAGE_BYTES, expected)] * 4
    assert resident_bytes(site) - before < 24 * MIB


def test_machines_that_load_and_hang_do_not_hold_up_boots_however_many(site: WebSite) -> None:
    with contextlib.ExitStack() as hanging:
        clients = []
        for number in range(WITH_IMAGES + 50):
            client = hanging.enter_context(connected(site, f"10.0.1.{number % 3}"))
            client.sendall(b"GET /assets/initramfs-metal-amd64.xz HTTP/1.1\r\nHost: h\r\n\r\n")
            clients.append(client)
        time.sleep(0.5)
        began = time.monotonic()
        assert site.boot(str(uuid.uuid4())).status == 200
        assert time.monotonic() - began < 3
        heads = [client.recv(4_096) for client in clients]
        assert sum(head.startswith(b"HTTP/1.1 200 ") for head in heads) == WITH_IMAGES // 2
        refused = [head for head in heads if head.startswith(b"HTTP/1.1 503 ")]
        assert len(refused) == len(heads) - WITH_IMAGES // 2
        assert all(b"\r\nRetry-After: 5\r\n" in head for head in refused)
    # Those that hung are gone, so their places are free again.
    assert wait_until(lambda: site.ask("/assets/kernel-amd64").status == 200, 10)

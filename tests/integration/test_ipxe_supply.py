"""The iPXE binaries by the real apt, from a mirror of our own that holds a package of our own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.boot.ipxe.binaries import Package
from app.boot.ipxe.supply import put
from app.errors import StartError
from tests.required import need
from tests.unit.boot.ipxe.binaries import DEBIAN, content_of, fill

pytestmark = pytest.mark.integration

VERSION = "9.9-1"
CONTROL = f"""\
Package: ipxe
Version: {VERSION}
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: stand-in
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """A package that the mirror of this machine's apt has in trixie."""
    missing = [name for name in ("apt-get", "dpkg-deb") if not shutil.which(name)]
    need(f"needs {' and '.join(missing)}" if missing else "")
    deb = _build(tmp_path / "tree", tmp_path / "mirror" / "pool" / f"ipxe_{VERSION}_all.deb")
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    lists = tmp_path / "mirror" / "dists" / "trixie" / "main" / "binary-amd64"
    lists.mkdir(parents=True)
    entry = f"{CONTROL}Filename: pool/{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n\n"
    (lists / "Packages").write_text(entry)
    listed = f" {hashlib.sha256(entry.encode()).hexdigest()} {len(entry)} main/binary-amd64/Packages\n"
    release = "Suite: stable\nCodename: trixie\nComponents: main\nArchitectures: amd64 all\n"
    (lists.parents[1] / "Release").write_text(f"{release}SHA256:\n{listed}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "mirror")))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    _use_mirror(tmp_path, f"http://127.0.0.1:{server.server_port}", monkeypatch)
    pins = {name: hashlib.sha256(content_of(name)).hexdigest() for name in DEBIAN}
    yield Package(VERSION, "trixie", digest, pins)
    server.shutdown()
    server.server_close()


def _build(tree: Path, deb: Path) -> Path:
    fill(tree / "usr" / "lib" / "ipxe")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(CONTROL)
    deb.parent.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, deb], check=True, capture_output=True)
    return deb


def _use_mirror(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this mirror the one that the machine's own sources name, as bookworm's."""
    (folder / "machine.list").write_text(f"deb {url} bookworm main\n")
    chosen = [
        f'Dir::Etc::SourceList "{folder}/machine.list";',
        'Dir::Etc::SourceParts "/dev/null";',
        'Dir::Etc::Parts "/dev/null";',  # a proxy would not find our mirror
        'APT::Architecture "amd64";',
        "#clear APT::Architectures;",
    ]
    (folder / "apt.conf").write_text("\n".join(chosen) + "\n")
    monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))


def test_package_of_a_newer_suite_is_fetched_checked_and_unpacked(package: Package, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "ipxe"
    assert put(folder, package=package) is True
    assert {path.name for path in folder.iterdir()} == {*DEBIAN, "manifest.json"}
    assert all((folder / name).read_bytes() == content_of(name) for name in DEBIAN)
    assert [path.name for path in folder.parent.iterdir()] == ["ipxe"]
    assert put(folder, package=package) is False


def test_package_that_was_changed_at_the_mirror_is_not_unpacked(package: Package, tmp_path: Path) -> None:
    pinned = Package(package.version, package.suite, "0" * 64, package.files)
    with pytest.raises(StartError, match=f"SHA-256 is {package.sha256}, not 000"):
        put(tmp_path / "state" / "ipxe", package=pinned)
    assert list((tmp_path / "state").iterdir()) == []


def test_version_that_the_mirror_does_not_have_is_told_with_the_remedy(package: Package, tmp_path: Path) -> None:
    newer = Package("10", package.suite, package.sha256, package.files)
    with pytest.raises(StartError, match=r"did not get .*ipxe 10 of trixie from http://127.*'10'.*not found.*--deb"):
        put(tmp_path / "state" / "ipxe", package=newer)


def test_mirror_that_is_not_there_is_told_with_its_address(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use_mirror(tmp_path, "http://127.0.0.1:9", monkeypatch)
    with pytest.raises(StartError, match=r"from http://127\.0\.0\.1:9: .*--deb"):
        put(tmp_path / "state" / "ipxe", package=package)

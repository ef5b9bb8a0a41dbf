"""How apt is asked for the package; apt itself is a stand-in here."""

import subprocess

import pytest

from app.boot.ipxe import debian
from app.boot.ipxe.binaries import PACKAGE
from app.boot.ipxe.debian import download
from app.errors import StartError

URIS = """\
'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_debian_dists_bookworm_InRelease 0
'http://mirror.example/debian/dists/bookworm-updates/InRelease' mirror.example_debian_dists_bookworm-updates_InRelease 0
'http://mirror.example/debian-security/dists/bookworm-security/InRelease' mirror.example_InRelease 0
'https://third.example/apt/dists/nodistro/InRelease' third.example_apt_dists_nodistro_InRelease 0
'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' mirror.example_Packages 0
"""


class Apt:
    """Answers what apt-get would, and keeps what it was asked."""

    def __init__(self, folder, uris=URIS, complaint="", gives=True):
        self.folder, self.uris, self.complaint, self.gives = folder, uris, complaint, gives
        self.commands = []

    def __call__(self, command, **kwargs):
        self.commands.append(command)
        out = self.uris if "--print-uris" in command else ""
        if "download" in command and self.gives:
            (self.folder / "ipxe_1_all.deb").write_bytes(b"deb")
        code = 100 if self.complaint and not out else 0
        return subprocess.CompletedProcess(command, code, out, self.complaint)


@pytest.fixture
def apt(tmp_path, monkeypatch):
    def install(**kwargs):
        stand_in = Apt(tmp_path, **kwargs)
        monkeypatch.setattr(debian.subprocess, "run", stand_in)
        monkeypatch.setattr(debian.shutil, "which", lambda name: f"/usr/bin/{name}")
        return stand_in

    return install


def test_package_is_fetched_from_the_machines_own_mirror_in_our_suite(tmp_path, apt):
    stand_in = apt()
    assert download(PACKAGE, tmp_path) == tmp_path / "ipxe_1_all.deb"
    assert (tmp_path / "sources.list").read_text() == "deb [trusted=yes] http://mirror.example/debian trixie main\n"
    assert stand_in.commands[-1][-2:] == ["download", f"ipxe={PACKAGE.version}"]


def test_lists_cache_and_sources_of_the_machine_are_not_touched(tmp_path, apt):
    stand_in = apt()
    download(PACKAGE, tmp_path)
    for command in stand_in.commands[1:]:
        for name in ("Dir::State", "Dir::Cache", "Dir::Etc::SourceList"):
            assert any(word.startswith(f"{name}={tmp_path}/") for word in command)
        assert "Dir::Etc::SourceParts=/dev/null" in command


def test_mirror_that_fails_does_not_matter_where_another_has_the_package(tmp_path, apt):
    apt(complaint="E: one of them has no Release file")
    assert download(PACKAGE, tmp_path).exists()


def test_package_that_no_mirror_has_is_told_with_mirror_words_of_apt_and_remedy(tmp_path, apt):
    apt(complaint="W: a warning\nE: Version '2' for 'ipxe' was \x1bnot found\n", gives=False)
    with pytest.raises(StartError) as caught:
        download(PACKAGE, tmp_path)
    words = str(caught.value)
    assert "http://mirror.example/debian:" in words
    assert "E: Version '2' for 'ipxe' was  not found" in words
    assert "W:" not in words
    assert "--deb" in words


def test_machine_without_a_mirror_of_debian_is_told_the_remedy(tmp_path, apt):
    apt(uris="'http://ubuntu.example/ubuntu/dists/jammy/InRelease' ubuntu.example_InRelease 0\n")
    with pytest.raises(StartError, match=r"names no mirror of Debian; download the file ipxe_.*--deb"):
        download(PACKAGE, tmp_path)


def test_machine_without_apt_is_told_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(debian.shutil, "which", lambda _: None)
    with pytest.raises(StartError, match=r"apt-get is not here.*--deb"):
        download(PACKAGE, tmp_path)


def test_machine_without_dpkg_is_told_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(debian.shutil, "which", lambda _: None)
    with pytest.raises(StartError, match=r"dpkg-deb is not here.*--ipxe-path"):
        debian.unpack(tmp_path / "ipxe.deb", tmp_path, PACKAGE)


def test_apt_that_hangs_is_given_up(tmp_path, apt, monkeypatch):
    apt()

    def hang(command, **kwargs):
        raise subprocess.TimeoutExpired(command, kwargs["timeout"])

    monkeypatch.setattr(debian.subprocess, "run", hang)
    with pytest.raises(StartError, match="did not end in 300 s"):
        download(PACKAGE, tmp_path)

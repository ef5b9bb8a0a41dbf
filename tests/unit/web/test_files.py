"""The files of firmware over HTTP: `/tftp/` from memory, `/assets/` from a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.boot.ipxe.files import Offer
from tests.unit.web.stand_ins import Site

FIRMWARE = "10.0.0.7"
SNP = b"0123456789"
FILES = Offer({"snp.efi": SNP, "amd64/snp.efi": SNP, "autoexec.ipxe": b"#!ipxe\n"})
MakeSite = Callable[..., Site]


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(boot_files=FILES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "assets"
    made.mkdir()
    (made / "kernel-amd64").write_bytes(SNP)
    (tmp_path / "secret").write_bytes(b"secret")
    return made


@pytest.fixture
def local(make_site: MakeSite, folder: Path) -> Site:
    return make_site(use_local_boot_assets=True, boot_assets_path=folder)


@pytest.mark.parametrize("name", ["snp.efi", "amd64/snp.efi", "./snp.efi", "amd64/..%2fsnp.efi", "..%2f..%2fsnp.efi"])
def test_boot_file_is_served_to_everybody_by_its_cleaned_name(site: Site, name: str) -> None:
    answer = site.get(f"/tftp/{name}", FIRMWARE)
    assert (answer.status_code, answer.data) == (200, SNP)
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("name", ["ipxe.efi", "no", "..%2f..%2fetc/passwd", "amd64", "%00"])
def test_name_that_is_no_boot_file_is_not_found(site: Site, name: str) -> None:
    answer = site.get(f"/tftp/{name}", FIRMWARE)
    assert (answer.status_code, answer.text) == (404, "there is no such file\n")


@pytest.mark.parametrize("path", ["/tftp/snp.efi", "/assets/kernel-amd64"])
class TestEachFile:
    @pytest.fixture
    def both(self, make_site: MakeSite, folder: Path) -> Site:
        return make_site(boot_files=FILES, use_local_boot_assets=True, boot_assets_path=folder)

    def test_head_says_the_length_and_sends_nothing(self, both: Site, path: str) -> None:
        answer = both.ask("HEAD", path, FIRMWARE)
        assert (answer.status_code, answer.data) == (200, b"")
        assert answer.headers["Content-Length"] == "10"

    @pytest.mark.parametrize(
        ("asked", "part", "told"),
        [
            ("bytes=0-3", SNP[:4], "bytes 0-3/10"),
            ("bytes=4-", SNP[4:], "bytes 4-9/10"),
            ("bytes=-2", SNP[-2:], "bytes 8-9/10"),
            ("bytes=9-9", SNP[9:], "bytes 9-9/10"),
            ("bytes=5-999", SNP[5:], "bytes 5-9/10"),
        ],
    )
    def test_range_is_sent_alone(self, both: Site, path: str, asked: str, part: bytes, told: str) -> None:
        answer = both.get(path, FIRMWARE, Range=asked)
        assert (answer.status_code, answer.data) == (206, part)
        assert answer.headers["Content-Range"] == told
        assert answer.headers["Content-Length"] == str(len(part))

    @pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100"])
    def test_range_behind_the_end_is_refused_with_the_size(self, both: Site, path: str, asked: str) -> None:
        answer = both.get(path, FIRMWARE, Range=asked)
        assert answer.status_code == 416
        assert answer.headers["Content-Range"] == "bytes */10"

    @pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "nonsense", "lines=1-2"])
    def test_range_that_is_none_or_many_gets_the_whole_file(self, both: Site, path: str, asked: str) -> None:
        answer = both.get(path, FIRMWARE, Range=asked)
        assert (answer.status_code, answer.data) == (200, SNP)
        assert answer.headers["Content-Length"] == "10"

    def test_range_of_another_version_gets_the_whole_file(self, both: Site, path: str) -> None:
        tag = both.get(path, FIRMWARE).headers["ETag"]
        assert both.get(path, FIRMWARE, Range="bytes=0-1", If_Range=tag).status_code == 206
        assert both.get(path, FIRMWARE, Range="bytes=0-1", If_Range='"another"').data == SNP

    def test_known_version_is_not_sent_again(self, both: Site, path: str) -> None:
        tag = both.get(path, FIRMWARE).headers["ETag"]
        answer = both.get(path, FIRMWARE, If_None_Match=tag)
        assert (answer.status_code, answer.data) == (304, b"")

    def test_other_methods_are_refused(self, both: Site, path: str) -> None:
        assert both.ask("PUT", path, FIRMWARE).status_code == 405


def test_without_binaries_scripts_are_served_and_the_remedy_is_logged_once(
    make_site: MakeSite, capsys: pytest.CaptureFixture[str]
) -> None:
    site = make_site(boot_files=Offer({"autoexec.ipxe": b"#!ipxe\n"}, "run `omni-metal ipxe` to get them"))
    capsys.readouterr()
    assert site.get("/tftp/autoexec.ipxe", FIRMWARE).data == b"#!ipxe\n"
    for name in ("snp.efi", "amd64/ipxe.efi", "no-such-file"):
        assert site.get(f"/tftp/{name}", FIRMWARE).status_code == 404
    said = [line for line in capsys.readouterr().out.splitlines() if "ipxe_files_missing" in line]
    assert len(said) == 1
    assert "omni-metal ipxe" in said[0]


def test_slashes_too_many_lead_to_the_name(site: Site) -> None:
    answer = site.get("/tftp//snp.efi", FIRMWARE)
    assert (answer.status_code, answer.location) == (308, "http://localhost/tftp/snp.efi")


def test_asset_is_not_served_without_local_assets(site: Site) -> None:
    answer = site.get("/assets/kernel-amd64", FIRMWARE)
    assert answer.status_code == 404
    assert "--use-local-boot-assets" in answer.text


def test_asset_is_read_from_the_folder_each_time(local: Site, folder: Path) -> None:
    assert local.get("/assets/kernel-amd64", FIRMWARE).data == SNP
    (folder / "kernel-amd64").write_bytes(b"another")
    answer = local.get("/assets/kernel-amd64", FIRMWARE)
    assert (answer.data, answer.headers["Content-Length"]) == (b"another", "7")


@pytest.mark.parametrize(
    "name",
    ["../secret", "..%2fsecret", "%2e%2e%2fsecret", "/{outside}", "%2f{outside}", "out", "", ".", "%00"],
)
def test_nothing_outside_and_no_listing_is_served(local: Site, folder: Path, name: str) -> None:
    (folder / "out").symlink_to(folder.parent / "secret")
    answer = local.get("/assets/" + name.format(outside=folder.parent / "secret"), FIRMWARE)
    if answer.status_code == 308:  # slashes too many
        answer = local.get(answer.location.removeprefix("http://localhost"), FIRMWARE)
    assert answer.status_code == 404
    assert b"secret" not in answer.data


def test_asset_that_is_not_served_is_logged_with_its_cleaned_name(
    local: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    local.get("/assets/no%1b" + "x" * 500, FIRMWARE)
    out = capsys.readouterr().out
    assert "asset_not_served" in out
    assert "\x1b[31m" not in out
    assert "x" * 100 not in out
    assert FIRMWARE in out

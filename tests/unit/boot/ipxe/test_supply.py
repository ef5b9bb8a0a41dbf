"""Putting the binaries of a package into the state directory: verified, and all or none."""

import dataclasses
import errno
import hashlib
import json
from pathlib import Path

import pytest

from app.boot.ipxe import supply
from app.boot.ipxe.binaries import PACKAGE, Binary
from app.boot.ipxe.supply import put
from app.errors import StartError
from tests.unit.boot.ipxe.binaries import DEBIAN, content_of, fill

DEB = b"the bytes of a package file"


def package_of(version="2", **wrong):
    """A package whose pins are those of our stand-in files, but for the wrong ones."""
    files = {name: hashlib.sha256(wrong.get(name, content_of(name))).hexdigest() for name in DEBIAN}
    return dataclasses.replace(PACKAGE, version=version, sha256=hashlib.sha256(DEB).hexdigest(), files=files)


@pytest.fixture
def deb(tmp_path, monkeypatch):
    """A package file, and how often it was unpacked."""
    unpacked = []

    def unpack(file, into, package):
        unpacked.append(file.read_bytes())
        return fill(into)

    monkeypatch.setattr(supply, "unpack", unpack)
    monkeypatch.setattr(supply, "download", lambda *_: pytest.fail("nothing is to be fetched"))
    path = tmp_path / "ipxe.deb"
    path.write_bytes(DEB)
    return path, unpacked


def test_binaries_are_put_there_with_a_manifest_and_nothing_else(tmp_path, deb):
    file, unpacked = deb
    folder = tmp_path / "state" / "ipxe"
    assert put(folder, file, package_of()) is True
    assert unpacked == [DEB]
    assert {path.name for path in folder.iterdir()} == {*DEBIAN, "manifest.json"}
    assert all((folder / name).read_bytes() == content_of(name) for name in DEBIAN)
    assert json.loads((folder / "manifest.json").read_text())["version"] == "2"
    assert [path.name for path in folder.parent.iterdir()] == ["ipxe"]


def test_second_time_there_is_nothing_to_do(tmp_path, deb):
    file, unpacked = deb
    put(tmp_path / "ipxe", file, package_of())
    assert put(tmp_path / "ipxe", None, package_of()) is False
    assert len(unpacked) == 1


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_damaged_binary_is_put_right(tmp_path, deb, damage):
    file, _ = deb
    put(tmp_path / "ipxe", file, package_of())
    if damage == "gone":
        (tmp_path / "ipxe" / Binary.BIOS).unlink()
    else:
        (tmp_path / "ipxe" / Binary.BIOS).write_bytes(b"changed")
    assert put(tmp_path / "ipxe", file, package_of()) is True
    assert (tmp_path / "ipxe" / Binary.BIOS).read_bytes() == content_of(Binary.BIOS)


def test_older_version_is_replaced_as_a_whole(tmp_path, deb):
    file, _ = deb
    put(tmp_path / "ipxe", file, package_of("1"))
    (tmp_path / "ipxe" / "left-over").write_bytes(b"x")
    assert put(tmp_path / "ipxe", file, package_of("2")) is True
    assert not (tmp_path / "ipxe" / "left-over").exists()


def test_file_that_is_another_package_is_never_unpacked(tmp_path, deb):
    file, unpacked = deb
    file.write_bytes(b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(StartError, match=rf"SHA-256 is {found}, not .*--deb.*--ipxe-path"):
        put(tmp_path / "state" / "ipxe", file, package_of())
    assert unpacked == []
    assert list((tmp_path / "state").iterdir()) == []


def test_binary_that_is_not_what_is_pinned_leaves_the_old_ones_in_place(tmp_path, deb):
    file, _ = deb
    put(tmp_path / "ipxe", file, package_of("1"))
    with pytest.raises(StartError, match=r"snponly\.efi .* is not what is pinned"):
        put(tmp_path / "ipxe", file, package_of("2", **{"snponly.efi": b"another"}))
    assert json.loads((tmp_path / "ipxe" / "manifest.json").read_text())["version"] == "1"


@pytest.mark.parametrize("end", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_replacement_that_fails_half_way_leaves_the_old_ones_in_place(tmp_path, deb, monkeypatch, end):
    file, _ = deb
    state = tmp_path / "state"
    put(state / "ipxe", file, package_of("1"))
    rename = Path.rename

    def rename_or_fail(source, target):
        if source.name == "ready":
            raise end
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", rename_or_fail)
    with pytest.raises((StartError, KeyboardInterrupt)):
        put(state / "ipxe", file, package_of("2"))
    assert json.loads((state / "ipxe" / "manifest.json").read_text())["version"] == "1"
    assert [path.name for path in state.iterdir()] == ["ipxe"]


def test_old_ones_come_back_where_a_run_was_killed_half_way_and_the_next_fails(tmp_path, deb):
    file, _ = deb
    state = tmp_path / "state"
    put(state / "ipxe", file, package_of("1"))
    (state / "ipxe").rename(state / supply.ASIDE)  # and killed
    with pytest.raises(StartError):
        put(state / "ipxe", tmp_path / "no.deb", package_of("2"))
    assert json.loads((state / "ipxe" / "manifest.json").read_text())["version"] == "1"
    assert [path.name for path in state.iterdir()] == ["ipxe"]


def test_old_ones_go_where_a_run_was_killed_once_the_new_ones_were_there(tmp_path, deb):
    file, _ = deb
    state = tmp_path / "state"
    put(state / "ipxe", file, package_of("2"))
    fill(state / supply.ASIDE)
    assert put(state / "ipxe", file, package_of("2")) is False
    assert [path.name for path in state.iterdir()] == ["ipxe"]


def test_missing_file_is_named_with_where_to_get_it(tmp_path, deb):
    with pytest.raises(StartError, match=r"no\.deb is not there; download the file ipxe_2_all\.deb \(Debian trixie\)"):
        put(tmp_path / "ipxe", tmp_path / "no.deb", package_of())


def test_folder_that_a_person_has_filled_is_left_alone(tmp_path, deb):
    file, _ = deb
    fill(tmp_path / "ipxe", ["undionly.kpxe"])
    with pytest.raises(StartError, match=r"did not put there; move it away.*--ipxe-path="):
        put(tmp_path / "ipxe", file, package_of())
    assert (tmp_path / "ipxe" / "undionly.kpxe").exists()


def test_link_in_its_place_is_left_alone(tmp_path, deb):
    file, _ = deb
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "ipxe").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError, match="move it away"):
        put(tmp_path / "ipxe", file, package_of())
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_a_run_left_behind_that_was_cut_off_is_cleaned_up(tmp_path, deb):
    file, _ = deb
    fill(tmp_path / "state" / ".ipxe-cutoff" / "ready")
    put(tmp_path / "state" / "ipxe", file, package_of())
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["ipxe"]


def test_state_directory_that_cannot_be_made_is_named_with_the_remedy(tmp_path, deb):
    file, _ = deb
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StartError, match=r"cannot be put into .*--state-dir"):
        put(tmp_path / "file" / "ipxe", file, package_of())


def test_every_binary_that_is_served_is_pinned():
    assert set(PACKAGE.files) == set(Binary) - {Binary.ARM64_SNP}
    assert all(len(digest) == 64 for digest in (PACKAGE.sha256, *PACKAGE.files.values()))

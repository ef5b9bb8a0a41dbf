"""Which folder the iPXE binaries are read from, and what is wrong with one."""

import os

import pytest

from app.boot.ipxe import folder
from app.boot.ipxe.binaries import Binary
from app.boot.ipxe.folder import folder_of, read_binaries
from app.errors import StartError
from config.settings import Settings
from tests.unit.boot.ipxe.binaries import DEBIAN, fill


def test_folder_is_the_given_one_else_the_states_else_the_images(tmp_path, monkeypatch):
    image = tmp_path / "image"
    monkeypatch.setattr(folder, "IMAGE_FOLDER", image)
    plain = Settings(state_dir=tmp_path / "state")
    assert folder_of(plain) == tmp_path / "state" / "ipxe"
    image.mkdir()
    assert folder_of(plain) == image
    (tmp_path / "state" / "ipxe").mkdir(parents=True)
    assert folder_of(plain) == tmp_path / "state" / "ipxe"
    assert folder_of(Settings(state_dir=tmp_path / "state", ipxe_path=tmp_path / "own")) == tmp_path / "own"


def test_folder_that_is_missing_names_itself_all_files_and_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "IMAGE_FOLDER", tmp_path / "no-image")
    with pytest.raises(StartError) as caught:
        read_binaries(Settings(state_dir=tmp_path))
    words = str(caught.value)
    assert str(tmp_path / "ipxe") in words
    assert all(f"{name} is missing" in words for name in DEBIAN)
    assert "omni-metal ipxe" in words
    assert "--ipxe-path" in words


def test_every_unfit_file_is_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "LARGEST_BYTES", 1024 * 1024)
    fill(tmp_path)
    (tmp_path / "undionly.kpxe").write_bytes(b"")
    (tmp_path / "snponly.efi").unlink()
    (tmp_path / "snponly.efi").mkdir()
    (tmp_path / "ipxe-amd64.efi").write_bytes(bytes(1024 * 1024 + 1))
    (tmp_path / "ipxe-arm64.efi").unlink()
    os.mkfifo(tmp_path / "ipxe-arm64.efi")
    with pytest.raises(StartError) as caught:
        read_binaries(Settings(ipxe_path=tmp_path))
    words = str(caught.value)
    assert "undionly.kpxe is empty" in words
    assert "snponly.efi is not a regular file" in words
    assert "ipxe-amd64.efi has more than 1,048,576 bytes" in words
    assert "ipxe-arm64.efi is not a regular file" in words
    assert "leave --ipxe-path out" in words


def test_link_to_a_binary_is_followed_as_debian_has_one(tmp_path):
    fill(tmp_path)
    (tmp_path / "ipxe-amd64.efi").rename(tmp_path / "elsewhere")
    (tmp_path / "ipxe.efi").symlink_to(tmp_path / "elsewhere")
    assert b"ipxe-amd64.efi" in read_binaries(Settings(ipxe_path=tmp_path))[Binary.AMD64]

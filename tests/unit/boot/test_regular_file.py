"""Files of an operator's folder are opened only where they are files."""

import os

import pytest

from app.boot.regular_file import FileUnfit, open_regular, read_regular


def test_file_of_the_largest_size_is_read_and_one_byte_more_is_not(tmp_path):
    (tmp_path / "file").write_bytes(b"abcd")
    assert read_regular(tmp_path / "file", 4) == b"abcd"
    with pytest.raises(FileUnfit, match="has more than 3 bytes"):
        read_regular(tmp_path / "file", 3)


def test_what_is_not_there_is_missing_also_below_a_file(tmp_path):
    (tmp_path / "amd64").write_bytes(b"x")
    for path in (tmp_path / "no", tmp_path / "amd64" / "snp.efi"):
        with pytest.raises(FileNotFoundError):
            open_regular(path)


def test_folder_pipe_and_empty_file_are_unfit(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_bytes(b"")
    for name, words in (("folder", "not a regular file"), ("pipe", "not a regular file"), ("empty", "is empty")):
        with pytest.raises(FileUnfit, match=words):
            open_regular(tmp_path / name)


def test_link_is_followed_unless_it_must_not_be(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    open_regular(tmp_path / "link").close()
    with pytest.raises(FileUnfit, match="cannot be read"):
        open_regular(tmp_path / "link", follow=False)

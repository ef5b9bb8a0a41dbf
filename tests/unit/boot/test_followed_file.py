"""A file that is replaced, or written into, while its content is used."""

import os
import time

import pytest

from app.boot import followed_file
from app.boot.followed_file import FollowedFile


class Bad(Exception):
    pass


class Reading:
    def __init__(self):
        self.times = 0
        self.meanwhile = lambda: None

    def __call__(self, path):
        self.times += 1
        text = path.read_text()
        self.meanwhile()
        if "bad" in text:
            raise Bad(text)
        return text


@pytest.fixture
def reading():
    return Reading()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    write(path, "one")
    return path


@pytest.fixture
def logged(monkeypatch):
    lines = []

    class Log:
        def warning(self, event, **fields):
            lines.append((event, fields["effect"], fields["reason"]))

        def info(self, event, **fields):
            lines.append((event,))

    monkeypatch.setattr(followed_file, "log", Log())
    return lines


def write(path, text, ago_s=60.0):
    path.write_text(text)
    when = time.time() - ago_s
    os.utime(path, (when, when))


def followed(path, reading):
    return FollowedFile("an-option", path, reading, Bad)


def test_unchanged_file_is_read_once(path, reading):
    file = followed(path, reading)
    assert [file.content() for _ in range(3)] == ["one"] * 3
    assert reading.times == 1


def test_changed_file_is_read_again_and_that_is_logged(path, reading, logged):
    file = followed(path, reading)
    assert file.content() == "one"
    assert logged == []
    write(path, "second", 50)
    assert file.content() == "second"
    assert logged == [("file_read_again",)]


def test_file_that_is_just_being_written_is_left_until_it_has_settled(path, reading):
    file = followed(path, reading)
    assert file.content() == "one"
    write(path, "half of", 0.5)
    assert file.content() == "one"
    write(path, "half of the second", 3)
    assert file.content() == "half of the second"


def test_file_that_was_written_in_the_future_is_read(path, reading):
    file = followed(path, reading)
    file.content()
    write(path, "second", -1000)
    assert file.content() == "second"


def test_first_content_is_not_waited_for(path, reading):
    write(path, "one", 0)
    assert followed(path, reading).content() == "one"


def test_file_that_is_written_while_it_is_read_is_not_used(path, reading):
    file = followed(path, reading)
    file.content()
    write(path, "half", 50)
    reading.meanwhile = lambda: write(path, "half of the second", 40)
    assert file.content() == "one"
    reading.meanwhile = lambda: None
    assert file.content() == "half of the second"


def test_bad_file_is_read_once_and_said_once(path, reading, logged):
    file = followed(path, reading)
    file.content()
    write(path, "bad", 50)
    assert [file.content() for _ in range(3)] == ["one"] * 3
    assert reading.times == 2
    assert logged == [("file_bad", "what it held before is used", "bad")]
    write(path, "second", 40)
    assert file.content() == "second"
    write(path, "bad", 30)
    assert file.content() == "second"
    assert logged[1:] == [("file_read_again",), ("file_bad", "what it held before is used", "bad")]


def test_file_that_was_never_good_has_no_content_until_it_is(path, reading, logged):
    write(path, "bad")
    file = followed(path, reading)
    assert file.content() is None
    assert logged == [("file_bad", "machine configurations are held back", "bad")]
    write(path, "one", 0)
    assert file.content() == "one"


def test_missing_file_is_said_and_found_when_it_is_there(tmp_path, reading, logged):
    file = followed(tmp_path / "none", reading)
    assert file.content() is None
    assert logged[0][0] == "file_bad"
    write(tmp_path / "none", "one", 0)
    assert file.content() == "one"

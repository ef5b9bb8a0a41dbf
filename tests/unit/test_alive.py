import os
import socket

import pytest

from app import alive
from app.alive import Sign
from config.settings import Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr("config.paths.LONGEST_RUN_DIR", 1000)  # pytest's folders are long
    return Settings(state_dir=tmp_path)


def test_sign_is_named_by_process_and_host(settings):
    sign = Sign(settings, "watcher")
    assert not sign.path.exists()
    sign.show()
    assert sign.path == settings.run_dir / "alive" / f"watcher@{socket.gethostname()}"
    assert sign.path.exists()


def test_sign_is_shown_again_only_after_its_pause(settings, monkeypatch):
    sign, now_s = Sign(settings, "watcher"), 1000.0
    monkeypatch.setattr(alive.time, "monotonic", lambda: now_s)
    sign.show()
    os.utime(sign.path, (1, 1))
    sign.show()
    assert sign.path.stat().st_mtime == 1
    now_s += alive.SHOW_EVERY_S
    sign.show()
    assert sign.path.stat().st_mtime > 1


def test_sign_that_is_held_is_shown_without_its_folder(settings, tmp_path):
    sign = Sign(settings, "netboot")
    sign.hold()
    moved = tmp_path / "moved"
    sign.path.parent.rename(moved)  # as out of reach as one that belongs to another user
    os.utime(moved / sign.path.name, (1, 1))
    sign.show()
    assert (moved / sign.path.name).stat().st_mtime > 1
    assert not sign.path.parent.exists()


@pytest.fixture
def trap(settings, tmp_path):
    """A file that is not for us, with a sign in its place that leads to it."""
    sign, victim = Sign(settings, "netboot"), tmp_path / "victim"
    victim.write_text("root:x\n")
    return sign, victim


@pytest.mark.parametrize("lead", ["symlink_to", "hardlink_to"])
def test_sign_that_leads_to_another_file_is_not_held(trap, lead):
    sign, victim = trap
    getattr(sign.path, lead)(victim)
    with pytest.raises(OSError, match=sign.path.name):
        sign.hold()
    assert victim.read_text() == "root:x\n"


def test_sign_that_is_a_pipe_is_not_waited_for(trap):
    sign, _ = trap
    os.mkfifo(sign.path)
    with pytest.raises(OSError, match=sign.path.name):
        sign.hold()


def test_folder_that_leads_elsewhere_is_not_held_and_nothing_goes_there(trap, settings, tmp_path):
    sign, victim = trap
    os.utime(victim, (1, 1))
    sign.path.parent.rmdir()
    sign.path.parent.symlink_to(tmp_path)
    with pytest.raises(OSError, match="alive"):
        Sign(settings, "netboot").hold()
    assert victim.read_text() == "root:x\n"
    assert not (tmp_path / sign.path.name).exists()


def test_folder_that_is_gone_breaks_nothing(settings):
    sign = Sign(settings, "watcher")
    sign.path.parent.rmdir()
    sign.show()
    assert not sign.path.exists()


def test_signs_of_hosts_that_are_no_more_go(settings):
    old, fresh = Sign(settings, "beat"), Sign(settings, "gateway")
    old.show()
    fresh.show()
    os.utime(old.path, (1, 1))
    Sign(settings, "watcher")
    assert (old.path.exists(), fresh.path.exists()) == (False, True)

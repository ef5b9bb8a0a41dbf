import stat

import pytest

from config import paths
from config.settings import Settings


def test_run_dir_is_in_the_state_dir_and_private(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "LONGEST_RUN_DIR", 1000)
    folder = Settings(state_dir=tmp_path / "state").run_dir
    assert folder == tmp_path / "state" / "run"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_run_dir_of_a_long_state_dir_is_short_and_always_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(tmp_path))
    state_dir = tmp_path / ("x" * 100)
    folder = paths.run_dir(state_dir)
    assert folder.parent == tmp_path
    assert folder == paths.run_dir(state_dir)
    assert folder != paths.run_dir(tmp_path / ("y" * 100))


def test_run_dir_that_is_a_link_of_somebody_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "LONGEST_RUN_DIR", 1000)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="somebody else"):
        paths.run_dir(tmp_path)


def test_too_open_run_dir_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "LONGEST_RUN_DIR", 1000)
    (tmp_path / "run").mkdir(mode=0o755)
    assert stat.S_IMODE(paths.run_dir(tmp_path).stat().st_mode) == 0o700

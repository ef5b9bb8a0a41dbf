"""Schematic ids survive whatever loses one of their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from app.boot.schematic_store import SchematicStore
from tests.unit.boot.fake_redis import FakeRedis

KEY = "k" * 64
ID = "a" * 64


def store(client: FakeRedis, folder: Path) -> SchematicStore:
    return SchematicStore(cast(Any, client), folder / "schematics")


def test_kept_id_is_known_at_once_without_redis(tmp_path: Path) -> None:
    client = FakeRedis()
    kept = store(client, tmp_path)
    kept.keep(KEY, ID)
    client.down = True
    assert kept.known(KEY) == ID
    assert kept.find(KEY) == ID


def test_unknown_content_has_no_id(tmp_path: Path) -> None:
    assert store(FakeRedis(), tmp_path).find(KEY) is None


def test_other_process_finds_it_in_redis(tmp_path: Path) -> None:
    client = FakeRedis()
    store(client, tmp_path / "one").keep(KEY, ID)
    assert store(client, tmp_path / "two").find(KEY) == ID


def test_restart_with_emptied_redis_finds_it_in_the_folder_and_tells_redis(tmp_path: Path) -> None:
    store(FakeRedis(), tmp_path).keep(KEY, ID)
    emptied = FakeRedis()
    assert store(emptied, tmp_path).find(KEY) == ID
    assert store(emptied, tmp_path / "elsewhere").find(KEY) == ID


def test_redis_down_and_folder_missing_still_keeps_in_memory(tmp_path: Path) -> None:
    client = FakeRedis()
    client.down = True
    (tmp_path / "schematics").write_text("a file where the folder should be")
    kept = store(client, tmp_path)
    kept.keep(KEY, ID)
    assert kept.find(KEY) == ID


def test_damaged_file_is_not_taken_for_an_id(tmp_path: Path) -> None:
    first = store(FakeRedis(), tmp_path)
    first.keep(KEY, ID)
    (tmp_path / "schematics" / KEY).write_bytes(b"\xff\xfe half")
    assert store(FakeRedis(), tmp_path).find(KEY) is None


def test_foreign_value_in_redis_is_not_taken_for_an_id(tmp_path: Path) -> None:
    client = FakeRedis()
    client.set(f"om:schematic:{KEY}", "../../etc")
    assert store(client, tmp_path).find(KEY) is None


def test_no_draft_is_left_in_the_folder(tmp_path: Path) -> None:
    store(FakeRedis(), tmp_path).keep(KEY, ID)
    assert [path.name for path in (tmp_path / "schematics").iterdir()] == [KEY]

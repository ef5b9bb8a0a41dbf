"""The generated code is what the .proto files say now."""

from pathlib import Path

from protos.generate import SOURCES, generate


def _texts(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*.py*"))
        if path.suffix in (".py", ".pyi")
    }


def test_generated_anew_equals_what_is_committed(tmp_path):
    generate(tmp_path)
    made, committed = _texts(tmp_path), _texts(SOURCES / "gen")
    assert made.keys() == committed.keys()
    assert [name for name in made if made[name] != committed[name]] == []

"""Generate protos/gen from the .proto files: `python -m protos.generate [TARGET_DIR]`.

The compiler writes imports that are relative to its search path; they are rewritten to `protos.gen…`, so that the
code works as a package. A test generates into an empty folder and compares.
"""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
IMPORT = re.compile(r"^(from|import) ((?:agent|cosi|gateway|omni|provider|tunnel)\b[\w.]*)", re.MULTILINE)


def generate(target: Path) -> None:
    """Write the code of every .proto file below this folder to `target`."""
    from grpc_tools import protoc  # a development dependency

    target.mkdir(parents=True, exist_ok=True)
    protos = sorted(str(p.relative_to(SOURCES)) for p in SOURCES.glob("*/*.proto"))
    well_known = str(files("grpc_tools") / "_proto")
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    scripts = Path(sys.executable).parent  # not on PATH when the environment is not activated
    plugins = [f"--plugin=protoc-gen-{kind}={scripts / f'protoc-gen-{kind}'}" for kind in ("mypy", "mypy_grpc")]
    status = protoc.main(["protoc", f"-I{SOURCES}", f"-I{well_known}", *plugins, *outputs, *protos])
    if status != 0:
        raise SystemExit(f"protoc failed with status {status}")
    for path in [*target.rglob("*.py"), *target.rglob("*.pyi")]:
        text = path.read_text()
        path.write_text(IMPORT.sub(r"\1 protos.gen.\2", text))
    for folder in {target, *(p.parent for p in target.rglob("*.py"))}:
        (folder / "__init__.py").touch()


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCES / "gen")

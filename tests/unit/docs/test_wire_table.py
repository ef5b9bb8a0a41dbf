"""The table of what of Omni's wire is tested where names tests that there are."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (?P<what>.+) \| `(?P<path>[\w/]+\.py)::(?P<name>\w+)` \|$")


def named():
    lines = (TESTS / "interop" / "README.md").read_text().splitlines()
    return [match for match in map(ROW.match, lines) if match]


def functions_of(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_each_test_that_the_table_names_is_there():
    missing = [m.group(0) for m in named() if m["name"] not in functions_of(TESTS / m["path"])]
    assert missing == []


def test_each_line_of_the_table_is_read():
    lines = (TESTS / "interop" / "README.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| what a client", "| ---"))]
    assert len(named()) == len(rows) > 60

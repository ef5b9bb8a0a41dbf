"""docs/operations.md has a row for each event that is logged, and none for one that is not."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ("app", "config", "netboot", "workers")  # what the lab logs is not the provider's
PAGE = ROOT / "docs" / "operations.md"
SECTION = "All log events"
HANDED_ON = """
class Shown:
    def say(self, event, words): log.error(event, words=words)
    def look(self): self.say("came", "now")
    def leave(self): self.say("went", "then")
"""
LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})


def names(node, function, module):
    """The events that the first argument of a log call may be: said there, or by those who call the function."""
    match node:
        case ast.Constant(value=str(name)):
            return {name}
        case ast.IfExp(body=one, orelse=other):
            return names(one, function, module) | names(other, function, module)
        case ast.Name(id=name) if function:
            parameters = [argument.arg for argument in function.args.args if argument.arg != "self"]
            return {
                event
                for call in ast.walk(module)
                if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == function.name
                for event in names(call.args[parameters.index(name)], None, module)
            }
    raise AssertionError(f"which event is logged by {ast.unparse(node)}?")


def calls(node, function=None):
    """Each call of the log below, with the function in which it stands."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="log") | ast.Attribute(attr="_log" | "_nonsense_log"), attr=level)
            ) if level in LEVELS:
                yield child, function
        inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from calls(child, child if inner else function)


def events_of(text):
    module = ast.parse(text)
    return {name for call, function in calls(module) for name in names(call.args[0], function, module)}


def sources():
    return [path for folder in SOURCES for path in sorted((ROOT / folder).rglob("*.py"))]


def logged():
    """Where each event is logged."""
    found = {}
    for path in sources():
        for name in events_of(path.read_text(encoding="utf-8")):
            found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return found


def described():
    """The events with a row, as often as they have one."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {SECTION}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_each_event_that_is_logged_has_a_row():
    missing = {name: places for name, places in logged().items() if name not in described()}
    assert missing == {}, f"say in docs/operations.md, {SECTION}, what these mean and what to do"


def test_each_row_is_of_an_event_that_is_logged():
    assert set(described()) - logged().keys() == set()


def test_no_event_has_two_rows():
    assert sorted(described()) == sorted(set(described()))


def test_loggers_have_one_name():
    for path in sources():
        text = path.read_text(encoding="utf-8")
        made = re.findall(r"^.*structlog\.get_logger\(.*$", text, re.MULTILINE)
        assert made in ([], ["log = structlog.get_logger()"]), f"{path}: the tests above look for `log`"


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("log.info('began', a=1)", {"began"}),
        ("async def f(x):\n  log.warning('a' if x else 'b')", {"a", "b"}),
        (HANDED_ON, {"came", "went"}),
        ("console.info('began')", set()),
    ],
)
def test_events_are_found_in_whatever_way_they_are_said(text, events):
    assert events_of(text) == events


def test_event_that_cannot_be_told_is_an_error():
    with pytest.raises(AssertionError, match="which event"):
        events_of("log.info(words.upper())")

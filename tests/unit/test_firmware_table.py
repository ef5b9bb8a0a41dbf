from types import SimpleNamespace

from tests.firmware_table import FirmwareTable


def report(name, outcome, *, when="call", row=None, reason="", duration=1.25):
    return SimpleNamespace(
        nodeid=f"tests/firmware/test_x.py::{name}",
        when=when,
        passed=outcome == "passed",
        skipped=outcome == "skipped",
        longrepr=("test_x.py", 7, f"Skipped: {reason}"),
        user_properties=[("row", row)] if row else [],
        duration=duration,
    )


def printed(*reports):
    table, lines = FirmwareTable(), []
    for each in reports:
        table.pytest_runtest_logreport(each)
    table.pytest_terminal_summary(SimpleNamespace(section=lines.append, write_line=lines.append))
    return lines[2:]


def test_boot_that_was_measured_stands_in_its_own_words():
    lines = printed(
        report("test_a", "passed", when="setup"),
        report("test_a", "passed", row=("OVMF", 17.04)),
        report("test_a", "passed", when="teardown"),
    )
    assert lines == ["OVMF  passed  17.0"]


def test_test_that_notes_nothing_stands_by_its_name_and_duration():
    assert printed(report("test_no_machine_is_lost", "passed")) == ["no machine is lost  passed  1.2"]


def test_skipped_boot_says_why():
    [line] = printed(report("test_a", "skipped", row=("OVMF", None), reason="not installed: ovmf"))
    assert line == "OVMF  skipped: not installed: ovmf  1.2"


def test_what_fails_before_or_after_a_test_is_a_failure_too():
    assert printed(report("test_a", "failed", when="setup")) == ["a     FAILED  1.2"]
    assert printed(report("test_a", "passed"), report("test_a", "failed", when="teardown")) == ["a     FAILED  1.2"]

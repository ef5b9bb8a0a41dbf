"""A pytest plugin that makes the table of docs/faults.md from what the tests of faults have measured.

`make faults` runs those tests with it. The table is printed; it is written only when every test has passed.
"""

from pathlib import Path

import pytest

OPTION = "--fault-table"
HEAD = """# Faults survived

Each line is measured by a test with the real processes of `omni-metal run` and the lab's rack: what was done to them,
what it hit, and all that happened to the machine that was hit, from then until it had what Omni wants for it. No
operation may be wrong, doubled or lost. A wipe whose agent or tunnel goes is cut short, and begun again.

`make faults` runs the tests and writes this page; `make test` runs them too.

| fault | what it hit | outcome |
| --- | --- | --- |
"""


def pytest_addoption(parser):
    parser.addoption(OPTION, type=Path, help="the file that the table of faults is written to")


def pytest_configure(config):
    config.pluginmanager.register(FaultTable(config.getoption(OPTION)), "fault-table-lines")


class FaultTable:
    """Collects the lines that tests have noted by the fixture `survived`."""

    def __init__(self, path):
        self._path = path
        self._lines = []

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            noted = [value for name, value in report.user_properties if name == "survived"]
            self._lines += [(report.location[:2], f"| {' | '.join(words)} |") for words in noted]

    def pytest_terminal_summary(self, terminalreporter, exitstatus):
        # Tests may run side by side; in the table they stand as in their files.
        lines = [line for _, line in sorted(self._lines, key=lambda noted: noted[0])]
        terminalreporter.section("faults survived")
        for line in lines:
            terminalreporter.write_line(line)
        complete = exitstatus == pytest.ExitCode.OK and not terminalreporter.stats.get("skipped")
        if self._path is None:
            return
        if complete:
            self._path.write_text(HEAD + "".join(f"{line}\n" for line in lines))
        terminalreporter.write_line(f"{self._path} {'written' if complete else 'left as it was: not all tests passed'}")

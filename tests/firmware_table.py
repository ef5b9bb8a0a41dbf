"""A pytest plugin that prints a table of the firmware tests: what was tried, what came of it, how long it took.

`make test-firmware` runs those tests with it.
"""

HEAD = ("case", "result", "s")
PASSED = "passed"


class FirmwareTable:
    """Collects a line for each test, in the words that it has noted by the fixture `row`, or else those of its name."""

    def __init__(self):
        self._lines = {}

    def pytest_runtest_logreport(self, report):
        # Setup and teardown have a line only where they fail or skip.
        if report.when != "call" and report.passed:
            return
        noted = [value for name, value in report.user_properties if name == "row"]
        words, seconds = noted[-1] if noted else (_name(report.nodeid), None)
        self._lines[report.nodeid] = (words, _result(report), f"{report.duration if seconds is None else seconds:.1f}")

    def pytest_terminal_summary(self, terminalreporter):
        lines = [HEAD, *self._lines.values()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
        terminalreporter.section("firmware")
        for case, result, seconds in lines:
            terminalreporter.write_line(f"{case:{widths[0]}}  {result:{widths[1]}}  {seconds:>{widths[2]}}".rstrip())


def _name(nodeid):
    return nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def _result(report):
    if report.passed:
        return PASSED
    if report.skipped:
        # Where a test was skipped, and why.
        *_, reason = report.longrepr
        return reason.replace("Skipped: ", "skipped: ")
    return "FAILED"


def pytest_configure(config):
    config.pluginmanager.register(FirmwareTable(), "firmware-table")


import pytest
from click.testing import CliRunner

from app import __version__, cli
from config.options import OPTIONS

MACHINE = "6d657461-6c00-4000-8000-000000000001"


def invoke(*words, **kwargs):
    return CliRunner().invoke(cli.main, words, **kwargs)


@pytest.fixture
def started(monkeypatch):
    """What the process commands would have begun, instead of beginning it."""
    calls = []
    monkeypatch.setattr(cli, "_become_green", lambda: calls.append("green"))
    monkeypatch.setenv("OMNI_METAL_ARGV", "")
    return calls


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("worker", "-h")])
def test_help_lists_every_option(words):
    found = invoke(*words)
    assert found.exit_code == 0
    for option in OPTIONS.values():
        assert option.flag in found.output


def test_version_is_that_of_the_package():
    assert invoke("version").output == f"omni-metal {__version__}\n"


@pytest.mark.parametrize("command", ["run", "web", "gateway", "watcher", "beat"])
def test_wrong_options_end_every_process_with_status_2(command):
    found = invoke(command, "--api-port=0", "--nope")
    assert found.exit_code == 2
    assert "--api-port=0 (command line)" in found.output
    assert "--nope (command line)" in found.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("worker",), "one of bmc, poll, wipe"),
        (("worker", "bmd"), "there is no queue bmd"),
        (("worker", "bmc", "wipe"), "found bmc wipe"),
        (("retry",), "name a machine id"),
        (("retry", "--id=x"), "found nothing"),
        (("wipe", MACHINE, "now"), f"found {MACHINE} now"),
        (("power", MACHINE), "name a machine id and on or off"),
        (("power", MACHINE, "of"), "there is no power of: say on or off"),
        (("bmc", MACHINE), "name test or probe and a machine id"),
        (("bmc", "reset", MACHINE), "there is no bmc reset: say test or probe"),
        (("record", MACHINE), "say either --adopt"),
        (("record", MACHINE, "--adopt", "--wipe"), "say either --adopt"),
        (("record", "--adopt"), "name a machine id"),
        (("reboot", MACHINE, "--wait=soon"), "'soon' is no duration"),
        (("reboot", MACHINE, "--wait=-1s"), "must not be negative"),
        (("pxe", MACHINE, "--nope"), "--nope (command line): no such option"),
    ],
)
def test_wrong_word_is_refused_with_the_remedy(words, said, started):
    found = invoke(*words)
    assert found.exit_code == 2
    assert said in found.output
    assert not started


@pytest.mark.parametrize(("queue", "green"), [("bmc", True), ("poll", True), ("wipe", False)])
def test_only_workers_of_greenlets_become_green_before_the_settings_are_read(queue, green, started):
    found = invoke("worker", "--id", "x", queue, "--api-port=0")
    assert found.exit_code == 2
    assert started == (["green"] if green else [])


@pytest.fixture
def orders(monkeypatch, tmp_path):
    """The orders that would have been given; each is refused."""
    given = []

    def give(settings, machine, verb, wait_s):
        given.append((machine, verb.value, wait_s, settings.id))
        return 1

    monkeypatch.setattr("app.orders.give", give)
    monkeypatch.setattr("config.logs.configure", lambda *_, **__: None)  # it holds for the whole process
    monkeypatch.setenv("OMNI_METAL_STATE_DIR", str(tmp_path))
    return given


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (("retry", MACHINE), (MACHINE, "retry", 10, "bare-metal")),
        (("wipe", MACHINE, "--wait=0"), (MACHINE, "wipe", 0, "bare-metal")),
        (("reboot", "--wait", "1m", MACHINE), (MACHINE, "reboot", 60, "bare-metal")),
        (("power", MACHINE, "on"), (MACHINE, "power-on", 10, "bare-metal")),
        (("power", "--id", "on", MACHINE, "on"), (MACHINE, "power-on", 10, "on")),
        (("power", MACHINE, "off"), (MACHINE, "power-off", 10, "bare-metal")),
        (("pxe", "--id=x", MACHINE), (MACHINE, "pxe-arm", 10, "x")),
        (("bmc", "test", MACHINE), (MACHINE, "bmc-test", 45, "bare-metal")),
        (("bmc", "probe", MACHINE, "--wait=5s"), (MACHINE, "bmc-probe", 5, "bare-metal")),
        (("record", "--adopt", MACHINE), (MACHINE, "record-adopt", 10, "bare-metal")),
        (("record", MACHINE, "--wipe"), (MACHINE, "record-wipe", 10, "bare-metal")),
    ],
)
def test_command_gives_its_order_and_ends_with_its_status(words, order, orders):
    found = invoke(*words)
    assert found.exit_code == 1, found.output
    assert orders == [order]


@pytest.mark.parametrize("command", ["retry", "wipe", "reboot", "power", "pxe", "record"])
def test_help_of_a_command_names_its_words_and_how_long_it_waits(command):
    found = invoke(command, "--help")
    assert f"{command} MACHINE" in found.output.splitlines()[0]
    assert "--wait" in found.output


def test_help_of_bmc_says_what_can_be_asked_and_that_nothing_is_changed():
    found = invoke("bmc", "--help")
    assert "bmc test|probe MACHINE" in found.output.splitlines()[0]
    assert "nothing is changed" in " ".join(found.output.split())


@pytest.mark.parametrize(("words", "as_json"), [((), False), (("--json",), True)])
def test_doctor_is_asked_with_the_options_right_or_wrong(words, as_json, monkeypatch):
    asked = []

    def run(argv, environ, *, as_json):
        asked.append((tuple(argv), "PATH" in environ, as_json))
        return 1

    monkeypatch.setattr("app.doctor.main.run", run)
    assert invoke("doctor", "--api-port=0", *words, "--nope").exit_code == 1
    assert asked == [(("--api-port=0", "--nope"), True, as_json)]

import pytest
from click.testing import CliRunner

from app import __version__, cli
from config.options import OPTIONS


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

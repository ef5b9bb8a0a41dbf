import io

import pytest
from rich.console import Console

from lab.bmc.chassis import BmcKind
from lab.hardware import Stage
from lab.life import Step
from lab.observed import Observed
from lab.screen import PlainScreen, Scene, choose_screen, in_words, rack_table
from lab.story import Told

STEP = Step("disks wiped", lambda machine, seen: "", 1, acted="the operator accepts the machines")


class Machine:
    stage = Stage.AGENT
    powered_on = True
    tunnel_open = True
    wiping = 1

    def __init__(self, number):
        self.id = f"machine-{number}"
        self.kind = list(BmcKind)[number % 2]


class Rack:
    def __init__(self, count):
        self.machines = tuple(Machine(n) for n in range(count))

    def observe(self, machine):
        return Observed(bmc_configured=True)


def drawn(rack, last):
    console = Console(file=io.StringIO(), width=160)
    console.print(rack_table(rack, last, 24))
    return console.file.getvalue()


def test_table_shows_what_a_machine_does():
    text = drawn(Rack(1), {"machine-0": "BMC set up after 0.4 s"})

    for words in ("machine-0", "agent, wiping", "connected", "api, set up", "BMC set up after 0.4 s"):
        assert words in text


def test_table_counts_what_does_not_fit():
    assert "and 3 more" in drawn(Rack(27), {})


def test_start_says_what_to_open_in_a_browser(tmp_path):
    out = io.StringIO()
    choose_screen(out).open(
        Scene(
            Rack(2), "http://127.0.0.1:9/, no login from this host", tmp_path / "log", "http://127.0.0.1:8, user admin"
        )
    )
    pages, flower = out.getvalue().splitlines()
    assert "2 machines (1 api, 1 redfish); pages http://127.0.0.1:9/, no login from this host; log " in pages
    assert flower.endswith("Flower http://127.0.0.1:8, user admin")


def test_without_a_terminal_there_are_plain_lines_with_times():
    out = io.StringIO()
    screen = choose_screen(out)

    screen.begun(STEP)
    screen.ended(STEP, Told("disks wiped", 2.04, 3))

    assert isinstance(screen, PlainScreen)
    first, second = out.getvalue().splitlines()
    assert first.endswith(" s  the operator accepts the machines")
    assert second.endswith(" s  disks wiped: all 3 machines in 2.0 s")


@pytest.mark.parametrize(
    ("missing", "words"),
    [({}, "disks wiped: all 3 machines in 2.0 s"), ({"m": "no"}, "disks wiped: 1 of 3 machines not within 2 s")],
)
def test_step_is_told_in_a_line(missing, words):
    assert in_words(STEP, Told("disks wiped", 2.0, 3, missing)) == words

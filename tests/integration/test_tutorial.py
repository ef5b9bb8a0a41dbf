"""docs/tutorial.md from its beginning to its end, in one shell, with stand-ins for Omni and the machines."""

import contextlib
import os
import shutil
import subprocess
import sys
import time

import pytest

from config.options import OPTIONS
from lab.hardware import Stage
from lab.life import TALOS_VERSION
from lab.rack import RackOptions
from lab.rack_thread import RackThread
from tests.integration.children import MARK, marked_processes
from tests.integration.whole_site import free_port
from tests.tutorial import blocks, missing

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.skipif(not shutil.which("bash") or not shutil.which("curl"), reason="needs bash and curl"),
]

WHOLE_S = 90  # a quarter of it where nothing else runs
STEP_S = 60
LOOK = "omni-metal machines"
LOOK_S = 15  # the power is read every second, and the pages follow
DONE = "this block is done:"


class Terminal:
    """One bash for all blocks, so that variables and background jobs stay."""

    def __init__(self, folder, environ):
        (folder / "bin").mkdir()
        program = folder / "bin" / "omni-metal"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m app.cli "$@"\n')
        program.chmod(0o755)
        self.process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env={**environ, MARK: str(folder), "PATH": f"{folder / 'bin'}:{environ['PATH']}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, text):
        """Run a block; gives its output and the exit status of its last command."""
        self.process.stdin.write(f'{text}\nprintf "\\n{DONE}%d\\n" $?\n')
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            if line.startswith(DONE):
                return "".join(printed), int(line.removeprefix(DONE))
            printed.append(line)
        raise AssertionError(f"the shell has ended: {''.join(printed)}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class Operator:
    """Does at the stand-ins what the blocks for a real Omni do, and waits for what comes of it."""

    def __init__(self, thread):
        self.thread, self.rack = thread, thread.rack
        self.machines = self.rack.machines

    def do(self, step):
        getattr(self, step)()

    def until(self, holds, what):
        self.thread.until(holds, STEP_S, what)

    def register(self):
        """The stand-in has the provider from its beginning."""

    def boot(self):
        self.thread.call(self.rack.power_on)
        self.until(lambda rack: all(rack.observe(m).known for m in self.machines), "machines join")

    def accept(self):
        """The last machine comes first: the first wipe is the one that fails."""
        *others, last = self.machines
        self.thread.call(lambda: self.rack.omni.accept(last.id))
        self.until(lambda rack: rack.counts()["wipe failed"] == 1, "a wipe fails")
        self.thread.call(lambda: [self.rack.omni.accept(m.id) for m in others])
        self.off_and_ready(len(others))

    def cluster(self):
        self.off_and_ready(len(self.machines))
        self.thread.call(lambda: [self.rack.omni.allocate(m.id, TALOS_VERSION) for m in self.machines])
        self.until(
            lambda rack: all(
                m.stage is Stage.TALOS and rack.observe(m).machine.install_event_id for m in self.machines
            ),
            "all run Talos",
        )

    def release(self):
        self.thread.call(lambda: [self.rack.omni.deallocate(m.id) for m in self.machines])
        self.until(lambda rack: rack.counts()["wipe done"] == 2 * len(self.machines), "wiped again")
        self.off_and_ready(len(self.machines))

    def remove(self):
        gone = self.machines[-1]
        self.thread.call(lambda: self.rack.omni.allow_joins(allowed=False))
        self.thread.call(lambda: self.rack.omni.remove(gone.id))
        self.until(lambda rack: not rack.observe(gone).known, "it is gone")

    def off_and_ready(self, count):
        self.until(
            lambda rack: sum(rack.observe(m).ready and not m.powered_on for m in self.machines) == count,
            "ready and off",
        )


def as_environment(options):
    """The options as environment variables."""
    pairs = (option.removeprefix("--").partition("=") for option in options)
    return {OPTIONS[name].variable: value or "true" for name, _, value in pairs}


@pytest.fixture
def site(tmp_path):
    """The rack, a terminal, and what in the tutorial stands for which port here."""
    api, flower = free_port(), free_port()
    options = RackOptions(machines=3, provider_port=api, wipe_s=1, boot_s=0.2, fail_wipes=1, secure=True)
    with RackThread(options) as thread:
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OMNI_")},
            **as_environment(thread.rack.provider_options()),
            **thread.rack.provider_environ(),
            "OMNI_METAL_STATE_DIR": str(tmp_path / "state"),
            "OMNI_METAL_GATEWAY_LISTEN": f"127.0.0.1:{free_port()}",
            "OMNI_METAL_FLOWER_LISTEN": f"127.0.0.1:{flower}",
            "OMNI_METAL_OPERATION_ATTEMPTS": "1",
            "OMNI_METAL_POWER_POLL_INTERVAL": "1s",
            "OMNI_METAL_MIN_REBOOT_INTERVAL": "1s",
        }
        terminal = Terminal(tmp_path, environ)
        try:
            yield thread, terminal, {"127.0.0.1:50042": f"127.0.0.1:{api}", "127.0.0.1:5555": f"127.0.0.1:{flower}"}
        finally:
            for pid in marked_processes(tmp_path):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            terminal.process.kill()
            terminal.close()


def run(terminal, text, expected):
    """Run a block; one that only looks is run again until it shows what is expected, as a person would do."""
    give_up_s = time.monotonic() + LOOK_S
    while True:
        printed, status = terminal.run(text)
        if text.strip() != LOOK or not missing(expected, printed) or time.monotonic() > give_up_s:
            return printed, status


def test_each_command_that_the_lab_can_run_says_what_the_tutorial_says(site, tmp_path):
    thread, terminal, here = site
    operator, began_s = Operator(thread), time.monotonic()
    ran = 0
    for block in blocks():
        if block.tag == "sh lab":
            text = block.text
            for there, place in here.items():
                text = text.replace(there, place)
            printed, status = run(terminal, text, block.expected)
            words = f"docs/tutorial.md, line {block.line}:\n{block.text}\n{printed}"
            assert status == 0, words
            assert missing(block.expected, printed) == "", words
            ran += 1
        elif block.tag.startswith("sh omni") and block.step:
            operator.do(block.step)
    terminal.close()

    assert ran > 10
    assert time.monotonic() - began_s < WHOLE_S
    assert marked_processes(tmp_path) == {}
    assert thread.call(thread.rack.complaints) == []

"""`omni-metal lab`: a rack of virtual machines lives its life through the real provider.

With --once it ends after one life. Without, life follows life until Ctrl-C: removed machines are switched on again
and come back as new ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

import structlog

from config.options import OPTIONS
from lab.account import Account, tell_failure, tell_summary
from lab.assets import assets_options
from lab.life import whole_life
from lab.options import LabOptions, parse
from lab.places import flower_place, pages_place
from lab.product import Elsewhere, Product, ProductError
from lab.rack import Rack
from lab.rack_bmcs import RackError
from lab.screen import Scene, Screen, choose_screen
from lab.story import Story

PAUSE_BETWEEN_LIVES_S: Final = 10.0  # to look at what is left, which should be nothing
FAILED: Final = 1
WRONG_USAGE: Final = 2
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED: Final = 130  # as a shell says it of Ctrl-C


def run(argv: Sequence[str]) -> int:
    """Run the lab with these options; returns the exit status."""
    try:
        options = parse(argv)
    except SystemExit as ended:  # argparse has said why
        return int(ended.code or 0)
    return asyncio.run(_run_until_signal(options))


async def _run_until_signal(options: LabOptions) -> int:
    """Run until the end or a signal, which is the ordinary way to end a lab without --once."""
    work = asyncio.create_task(_run(options))
    loop = asyncio.get_running_loop()

    def stop() -> None:
        # Only once: a second Ctrl-C must not break off what the first one has begun to clear away.
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        work.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        return await work
    except asyncio.CancelledError:
        return INTERRUPTED if options.once else 0


async def _run(options: LabOptions) -> int:
    folder = options.state_dir or Path(tempfile.mkdtemp(prefix="omni-metal-lab-"))
    folder.mkdir(parents=True, exist_ok=True)
    keep = options.state_dir is not None
    try:
        with _logging_to(folder / "rack.log"):
            status = await _run_in(folder, options)
    except RackError as error:
        sys.stderr.write(f"omni-metal lab: {error}\n")
        return FAILED
    else:
        keep = keep or status != 0
        return status
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


async def _run_in(folder: Path, options: LabOptions) -> int:
    out = sys.stderr if options.as_json else sys.stdout
    account = Account()
    async with Rack(replace(options.rack, state_dir=folder / "bmcs")) as rack:
        product = _product(folder, options, rack)
        screen = choose_screen(out)
        # Of a provider elsewhere this is where the machines find it, which need not be where a browser does.
        pages = "those of the provider" if options.stand_ins else pages_place(product.url, product.options)
        screen.open(Scene(rack, pages, product.log_path, flower_place(product.options)))
        try:
            await _live(options, rack, product, screen, account)
        except ProductError as error:
            account.error, account.status = str(error), error.status
        finally:
            screen.close()
            await _tell(account, rack, product, out)
            await product.stop()
        if options.as_json:
            sys.stdout.write(json.dumps(account.summary(rack)) + "\n")
        return _exit_status(account, rack)


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send what the rack itself logs to a file: the terminal is for the story."""
    with path.open("a", encoding="utf-8") as log:
        structlog.configure(
            processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
            logger_factory=structlog.WriteLoggerFactory(log),
        )
        try:
            yield
        finally:
            structlog.reset_defaults()


async def _tell(account: Account, rack: Rack, product: Product, out: TextIO) -> None:
    if account.failed(rack) and not account.told:
        await tell_failure(account, rack, product, out)
    elif account.lives and not account.told:
        tell_summary(account, rack, out)


def _product(folder: Path, options: LabOptions, rack: Rack) -> Product:
    if options.stand_ins:
        return Elsewhere(rack.provider_url, folder / "rack.log")
    arguments = [
        *rack.provider_options(),
        f"--state-dir={folder}",
        f"--min-reboot-interval={options.cooldown}",
        *options.passed_on,
        *assets_options(options.passed_on, folder / "assets", OPTIONS["agent-mode-talos-version"].default),
    ]
    return Product(arguments, rack.provider_url, folder / "provider.log", rack.provider_environ())


async def _live(options: LabOptions, rack: Rack, product: Product, screen: Screen, account: Account) -> None:
    """Start the provider and play one life, or life after life as long as all goes well."""
    screen.say(product.announcement)
    await product.start()
    await product.wait_up()
    account.startup_s = account.elapsed_s()
    screen.say(f"the provider is ready after {account.startup_s:.1f} s")
    story = Story(rack, screen, product.check)
    while True:
        account.lives.append(await story.play(whole_life(rack, options.cooldown_s)))
        if options.once:
            return
        if account.failed(rack):
            screen.close()
            await tell_failure(account, rack, product, sys.stderr)
            screen.say("all stays as it is; Ctrl-C ends the lab")
            await _stay(product)
        screen.say(f"the life is over, a new one begins in {PAUSE_BETWEEN_LIVES_S:g} s; Ctrl-C ends the lab")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_BETWEEN_LIVES_S):
                await _stay(product)


async def _stay(product: Product) -> None:
    """Leave everything as it is, for a person to look at, as long as the provider runs."""
    while True:
        product.check()
        await asyncio.sleep(1)


def _exit_status(account: Account, rack: Rack) -> int:
    if account.status == WRONG_USAGE:
        return WRONG_USAGE
    return FAILED if account.failed(rack) else 0

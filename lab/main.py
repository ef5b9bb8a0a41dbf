"""`omni-metal lab`: a rack of virtual machines lives its life through the real provider.

With --once it ends after one life. Without, life follows life until Ctrl-C: removed machines are switched on again
and come back as new ones.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TextIO

import structlog

from config.durations import parse_duration
from lab.account import Account, tell_failure, tell_summary
from lab.flower_place import flower_place
from lab.life import whole_life
from lab.ports import HOST, usual_or_free
from lab.product import Product, ProductError
from lab.rack import Rack, RackOptions
from lab.screen import Scene, Screen, choose_screen
from lab.story import Story

API_PORT: Final = 50042
GATEWAY_PORT: Final = 50044
FLOWER_PORT: Final = 5555
PAUSE_BETWEEN_LIVES_S: Final = 10.0  # to look at what is left, which should be nothing
FAILED: Final = 1
WRONG_USAGE: Final = 2
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED: Final = 130  # as a shell says it of Ctrl-C


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What was asked for. `passed_on` goes to the provider as it is."""

    rack: RackOptions
    once: bool
    as_json: bool
    state_dir: Path | None
    cooldown: str
    passed_on: tuple[str, ...]

    @property
    def cooldown_s(self) -> float:
        """The cooldown in seconds."""
        return parse_duration(self.cooldown)


def run(argv: Sequence[str]) -> int:
    """Run the lab with these options; returns the exit status."""
    try:
        options = parse(argv)
    except SystemExit as ended:  # argparse has said why
        return int(ended.code or 0)
    return asyncio.run(_run_until_signal(options))


def parse(argv: Sequence[str]) -> LabOptions:
    """Read the command line; options that are not the lab's own are passed on to the provider."""
    parser = _parser()
    given, passed_on = parser.parse_known_args(list(argv))
    try:
        parse_duration(given.min_reboot_interval)
    except ValueError as error:
        parser.error(f"--min-reboot-interval: {error}")
    for option, least in (("machines", 1), ("wipe_seconds", 0), ("boot_seconds", 0), ("fail_wipes", 0)):
        if getattr(given, option) < least:
            parser.error(f"--{option.replace('_', '-')}: at least {least}")
    rack = RackOptions(
        machines=given.machines,
        wipe_s=given.wipe_seconds,
        boot_s=given.boot_seconds,
        fail_wipes=given.fail_wipes,
        provider_port=given.api_port or usual_or_free(API_PORT),
    )
    return LabOptions(
        rack,
        given.once,
        given.json,
        given.state_dir,
        given.min_reboot_interval,
        _with_defaults(passed_on, once=given.once),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omni-metal lab",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="All other options are passed on to `omni-metal run`.",
        allow_abbrev=False,
    )
    parser.add_argument("--machines", type=int, default=6, metavar="N", help="machines in the rack (6)")
    parser.add_argument("--wipe-seconds", type=float, default=2.0, metavar="S", help="how long a wipe takes (2)")
    parser.add_argument("--boot-seconds", type=float, default=1.0, metavar="S", help="how long a boot takes (1)")
    parser.add_argument("--fail-wipes", type=int, default=0, metavar="K", help="the first K wipes fail (0)")
    parser.add_argument("--once", action="store_true", help="end after one life: status 0, or 1 if it went wrong")
    parser.add_argument("--json", action="store_true", help="a summary as one line of JSON on stdout at the end")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="kept state directory (a fresh temporary one)")
    parser.add_argument("--api-port", type=int, metavar="PORT", help=f"of the provider ({API_PORT}, else a free one)")
    parser.add_argument("--min-reboot-interval", default="5s", metavar="TIME", help="the provider's cooldown (5s)")
    return parser


def _with_defaults(passed_on: Sequence[str], *, once: bool) -> tuple[str, ...]:
    """Add what makes a life short, where it was not said otherwise. Nobody looks at Flower during a single life."""
    named = {option.partition("=")[0] for option in passed_on}
    defaults = {
        "--power-poll-interval": "2s",
        "--gateway-listen": f"{HOST}:{usual_or_free(GATEWAY_PORT)}",
    }
    if "--disable-flower" not in named and "--flower-listen" not in named:
        defaults |= (
            {"--disable-flower": "true"} if once else {"--flower-listen": f"{HOST}:{usual_or_free(FLOWER_PORT)}"}
        )
    return (*(f"{name}={value}" for name, value in defaults.items() if name not in named), *passed_on)


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
        screen.open(Scene(rack, product.url, product.log_path, flower_place(product.options)))
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
    arguments = [
        *rack.provider_options(),
        f"--state-dir={folder}",
        f"--min-reboot-interval={options.cooldown}",
        *options.passed_on,
    ]
    return Product(arguments, rack.provider_url, folder / "provider.log")


async def _live(options: LabOptions, rack: Rack, product: Product, screen: Screen, account: Account) -> None:
    """Start the provider and play one life, or life after life as long as all goes well."""
    screen.say("the provider starts")
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

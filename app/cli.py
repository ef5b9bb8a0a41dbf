"""The `omni-metal` command.

Each process of the provider is one command of it. What a command needs is imported when it runs: most need little,
and a worker has to be made ready for greenlets before anything else is imported.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TextIO

import click

from app import __version__
from app.arguments import BMC_WAIT, MACHINE_WORD, WAIT, refuse, split_words, wait_seconds
from app.option_help import HELP_SETTINGS, OptionsCommand, OptionsGroup

if TYPE_CHECKING:
    from config.settings import Settings

QUEUES: Final = ("bmc", "poll", "wipe")
# The queues whose worker runs greenlets; the one for wipes runs threads.
GREENLET_QUEUES: Final = ("bmc", "poll")
# Flower follows along: where processors are scarce, those that work on machines come first.
LESS_URGENT: Final = 10

# grpc would write lines of its own between ours; what matters of it comes as an error.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# What it does around a fork, for children that go on with its channels, kills one in 25 of those that are to become
# another program while its threads work. None of ours goes on with one.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


@click.group(cls=OptionsGroup, context_settings=HELP_SETTINGS)
def main() -> None:
    """Omni's bare-metal infrastructure provider as durable Celery tasks.

    `omni-metal lab` shows the life of a rack of virtual machines; `omni-metal run` runs the provider. MACHINE is the
    id of a machine, or at least four characters with which no other machine's id begins.
    """


@main.command(cls=OptionsCommand)
def run(arguments: tuple[str, ...]) -> None:
    """Run the whole provider on this machine, with a Redis of its own unless --redis-url is given."""
    settings = _load(arguments, "run")
    from app import supervisor

    sys.exit(supervisor.run(settings, arguments, os.environ))


@main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> None:
    """Show a rack of virtual machines that live their whole life, through the real program."""
    from lab import main as lab_main

    sys.exit(lab_main.run(list(arguments)))


@main.command(cls=OptionsCommand)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, with the names of the API.")
def machines(arguments: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001 - click's way
    """List all machines: what each is, what it waits for and why."""
    settings = _load_client(arguments)
    from app import fleet

    sys.exit(fleet.show_machines(settings, as_json=as_json))


@main.command(cls=OptionsCommand)
@click.option("--json", "as_json", is_flag=True, help="Write what was found as JSON.")
def doctor(arguments: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Look at everything that the provider needs, running or not; say what is wrong and what to do about it."""
    from app.doctor import main as doctor_main

    sys.exit(doctor_main.run(arguments, os.environ, as_json=as_json))


@main.command(cls=OptionsCommand)
@click.option("--deb", type=click.Path(path_type=Path), help="Debian's package file, if it is here already.")
def ipxe(arguments: tuple[str, ...], deb: Path | None) -> None:
    """Get the iPXE binaries that firmware starts, from Debian's package, into the state directory."""
    settings = _load(arguments)
    from app.boot.ipxe import supply

    sys.exit(supply.run(settings, deb))


@main.command(cls=OptionsCommand, words="MACHINE")
@WAIT
def retry(arguments: tuple[str, ...], wait: str) -> None:
    """Try again at once what is due on a machine, parked or not."""
    _order(arguments, "retry", wait)


@main.command(cls=OptionsCommand, words="MACHINE")
@WAIT
def wipe(arguments: tuple[str, ...], wait: str) -> None:
    """Wipe a machine's disks, if Omni wants that."""
    _order(arguments, "wipe", wait)


@main.command(cls=OptionsCommand, words="MACHINE")
@WAIT
def reboot(arguments: tuple[str, ...], wait: str) -> None:
    """Reboot a machine, if Omni wants that."""
    _order(arguments, "reboot", wait)


@main.command(cls=OptionsCommand, words="MACHINE on|off")
@WAIT
def power(arguments: tuple[str, ...], wait: str) -> None:
    """Power a machine on or off, if Omni wants that."""
    (machine, state), options = split_words(arguments, MACHINE_WORD, "on or off")
    if state not in ("on", "off"):
        refuse(f"there is no power {state}: say on or off")
    _order((machine, *options), f"power-{state}", wait)


@main.command(cls=OptionsCommand, words="MACHINE")
@WAIT
def pxe(arguments: tuple[str, ...], wait: str) -> None:
    """Arm one boot from the network on a machine that is to boot from there."""
    _order(arguments, "pxe-arm", wait)


@main.command(cls=OptionsCommand, words="MACHINE --adopt|--wipe")
@click.option("--adopt", is_flag=True, help="Keep what is on the disks: the machine must be in a cluster.")
@click.option("--wipe", is_flag=True, help="Have the disks wiped.")
@WAIT
def record(arguments: tuple[str, ...], adopt: bool, wipe: bool, wait: str) -> None:  # noqa: FBT001 - click's way
    """Say what is on the disks of a machine whose wipe record is lost."""
    if adopt is wipe:
        refuse("say either --adopt, which keeps what is on the disks, or --wipe, which has them wiped")
    _order(arguments, "record-adopt" if adopt else "record-wipe", wait)


@main.command(cls=OptionsCommand, words="test|probe MACHINE")
@BMC_WAIT
def bmc(arguments: tuple[str, ...], wait: str) -> None:
    """Log in at a machine's BMC and read its power (test), or ask it anew what it is (probe); nothing is changed."""
    (what, machine), options = split_words(arguments, "test or probe", MACHINE_WORD)
    if what not in ("test", "probe"):
        refuse(f"there is no bmc {what}: say test or probe")
    _order((machine, *options), f"bmc-{what}", wait)


@main.command()
@click.argument("file", type=click.File("r", encoding="utf-8"), default="-")
def explain(file: TextIO) -> None:
    """Say what is due on a machine and why, for each picture in FILE (one line of JSON each; - is standard input)."""
    from app.machine import explain as explaining

    sys.exit(explaining.run(file, sys.stdout))


@main.command()
def version() -> None:
    """Write the version."""
    click.echo(f"omni-metal {__version__}")


@main.command(cls=OptionsCommand)
def web(arguments: tuple[str, ...]) -> None:
    """Run the public port: HTTP for firmware, pages and API, and the agents' tunnels."""
    settings = _load_process(arguments, "web")
    from app.front import main as front

    front.run(settings)


@main.command(cls=OptionsCommand)
@click.option("--dry-run", is_flag=True, help="Log each packet and what would be answered, and answer nothing.")
def netboot(arguments: tuple[str, ...], dry_run: bool) -> None:  # noqa: FBT001 - click's way
    """Run the DHCP proxy and TFTP, which start iPXE on machines that boot from the network. Needs no Omni, no Redis."""
    from config.forgetting import forget_secrets
    from config.settings import SettingsError, load

    try:
        settings = load(arguments, os.environ, without_omni=True)
    except SettingsError as error:
        refuse(str(error))
    forget_secrets()
    from netboot import main as netboot_main

    sys.exit(netboot_main.run(settings, dry_run=dry_run))


@main.command(cls=OptionsCommand)
def gateway(arguments: tuple[str, ...]) -> None:
    """Run the agent gateway, which holds the agents' tunnels."""
    settings = _load_process(arguments, "gateway")
    from app.agents import main as agents

    agents.run(settings)


@main.command(cls=OptionsCommand)
def watcher(arguments: tuple[str, ...]) -> None:
    """Run the watcher, which follows Omni and decides what is due."""
    settings = _load_process(arguments, "watcher")
    from app.watcher import main as watching

    watching.run(settings)


@main.command(cls=OptionsCommand, words="QUEUE")
def worker(arguments: tuple[str, ...]) -> None:
    """Run a Celery worker: `worker bmc`, `worker poll` or `worker wipe`."""
    (queue,), options = split_words(arguments, f"one of {', '.join(QUEUES)}")
    if queue not in QUEUES:
        refuse(f"there is no queue {queue}; choose one of {', '.join(QUEUES)}")
    if queue in GREENLET_QUEUES:
        _become_green()
    settings = _load_process(options, f"worker-{queue}")
    from workers import main as workers_main

    workers_main.run(settings, queue)


@main.command(cls=OptionsCommand)
def beat(arguments: tuple[str, ...]) -> None:
    """Run the clock of the power sweep."""
    settings = _load_process(arguments, "beat")
    from workers import beat as workers_beat

    workers_beat.run(settings)


@main.command(cls=OptionsCommand)
def flower(arguments: tuple[str, ...]) -> None:
    """Run Flower, the page of all tasks, behind a password."""
    os.nice(LESS_URGENT)
    settings = _load_process(arguments, "flower")
    from workers import flower as workers_flower

    workers_flower.run(settings)


def _load(options: tuple[str, ...], process: str = "") -> Settings:
    """Read the settings of a process, or, without its name, of a command for a person."""
    from app.start_checks import CHECKED, checks_of
    from config.settings import SettingsError, load

    try:
        # A child of `run` that has to be started again must come up with what `run` found good.
        if not process or CHECKED in os.environ:
            return load(options, os.environ, client=not process)
        return load(options, os.environ, further=checks_of(process))
    except SettingsError as error:
        refuse(str(error))


def _load_process(options: tuple[str, ...], process: str) -> Settings:
    """Read the settings of a process; processes that it starts read them anew from the environment."""
    settings = _load(options, process)
    os.environ["OMNI_METAL_ARGV"] = json.dumps(options)
    from config import logs

    logs.configure(settings.debug, process)
    from app.redis_watch import watch_redis

    watch_redis(settings)
    return settings


def _load_client(options: tuple[str, ...]) -> Settings:
    """Read the settings of a command for a person, with the Redis that `run` has started here, if it has."""
    settings = _load(options)
    from config import logs

    logs.configure(settings.debug, "command", quiet=True)
    if "redis-url" in settings.given:
        return settings
    from app.fleet import with_bundled_redis

    return with_bundled_redis(settings)


def _order(arguments: tuple[str, ...], verb: str, wait: str) -> NoReturn:
    """Give the order for the machine that the arguments name."""
    (machine,), options = split_words(arguments, MACHINE_WORD)
    wait_s = wait_seconds(wait)
    settings = _load_client(options)
    from app import orders
    from app.machine.verbs import Verb

    sys.exit(orders.give(settings, machine, Verb(verb), wait_s))


def _become_green() -> None:
    from gevent import monkey

    monkey.patch_all()
    from grpc.experimental import gevent as grpc_gevent

    grpc_gevent.init_gevent()


if __name__ == "__main__":
    main()

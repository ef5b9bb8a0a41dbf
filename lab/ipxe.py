"""An interpreter for the part of iPXE's script language that boot scripts are written in.

It does what iPXE does with these commands, including what goes wrong: a command that fails ends the script, unless
`||` catches it; `chain --replace` never comes back; settings such as `${uuid}` are filled in when a line runs.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lab.fetch import Fetched, FetchError

MAX_CHAINS: Final = 8  # a script that chains to itself would run for ever
SETTING: Final = re.compile(r"\$\{([^{}]*)\}")
SWITCHES: Final = {
    "chain": ("--replace", "--autofree"),
    "sanboot": ("--no-describe", "--keep"),
    "exit": (),
    "boot": ("--replace", "--autofree"),
    "kernel": (),
    "initrd": (),
    "imgfree": (),
    "echo": ("-n",),
    "set": (),
    "sleep": (),
}
VALUED: Final = {
    "chain": ("--name",),
    "kernel": ("--name",),
    "initrd": ("--name",),
    "sanboot": ("--drive", "--filename"),
}

Fetch = Callable[[str], Awaitable[Fetched]]


class ScriptError(Exception):
    """The script ended with a failed command."""


@dataclass(frozen=True, slots=True)
class KernelBoot:
    """The script boots a kernel."""

    kernel_url: str
    arguments: tuple[str, ...]
    kernel: bytes
    initrds: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DiskBoot:
    """The script hands over to the disk: `exit` to the firmware's next boot device, or `sanboot`."""

    command: str


Outcome = KernelBoot | DiskBoot


class Interpreter:
    """Runs scripts for one machine.

    fetch: how URLs are fetched.
    settings: what `${name}` stands for; a name that is not there is empty.
    """

    def __init__(self, fetch: Fetch, settings: Mapping[str, str]) -> None:
        self._fetch = fetch
        self._settings = dict(settings)
        self._chains = 0
        self._kernel: tuple[str, tuple[str, ...], bytes] | None = None
        self._initrds: list[bytes] = []
        self.said: list[str] = []

    async def run(self, text: str) -> Outcome:
        """Run a script to its end.

        Raises:
            ScriptError: a command failed or is not known, or the script boots nothing.
        """
        if not text.startswith("#!ipxe"):
            raise ScriptError(f"this is no iPXE script: {text[:60]!r}")
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            outcome = await self._line(line, number)
            if outcome is not None:
                return outcome
        raise ScriptError("the script ended without booting anything")

    async def _line(self, line: str, number: int) -> Outcome | None:
        """Run `a`, `a && b` and `a || b` from left to right."""
        failure: ScriptError | None = None
        for joint, words in _split(line):
            if (joint == "||") != (failure is not None):
                continue
            failure = None
            try:
                outcome = await self._command([self._expand(word) for word in words])
            except ScriptError as error:
                failure = ScriptError(f"line {number}: {error}")
                continue
            if outcome is not None:
                return outcome
        if failure is not None:
            raise failure
        return None

    def _expand(self, word: str) -> str:
        return SETTING.sub(lambda match: self._settings.get(match[1].split(":")[0], ""), word)

    async def _command(self, words: list[str]) -> Outcome | None:
        name, rest = words[0], words[1:]
        if name not in SWITCHES:
            raise ScriptError(f"{name}: command not found")
        arguments = _without_switches(name, rest)
        match name:
            case "exit" | "sanboot":
                return DiskBoot(name)
            case "boot":
                return await self._boot(arguments)
            case "chain":
                return await self._chain(arguments, replace="--replace" in rest)
            case "kernel":
                command_line = " ".join(arguments[1:])
                image = await self._image(name, arguments)
                self._kernel = (arguments[0], tuple(command_line.split()), image)
            case "initrd":
                self._initrds.append(await self._image(name, arguments))
            case "imgfree":
                self._kernel, self._initrds = None, []
            case "set":
                self._settings[_first(name, arguments)] = " ".join(arguments[1:])
            case "echo":
                self.said.append(" ".join(arguments))
        return None

    async def _boot(self, arguments: list[str]) -> Outcome:
        if arguments:
            await self._command(["kernel", *arguments])
        if self._kernel is None:
            raise ScriptError("boot: no kernel is loaded")
        url, kernel_arguments, kernel = self._kernel
        return KernelBoot(url, kernel_arguments, kernel, tuple(self._initrds))

    async def _chain(self, arguments: list[str], *, replace: bool) -> Outcome | None:
        self._chains += 1
        if self._chains > MAX_CHAINS:
            raise ScriptError("chain: too many chained scripts")
        text = (await self._image("chain", arguments)).decode("utf-8", "replace")
        outcome = await self.run(text)
        came_back = isinstance(outcome, DiskBoot) and outcome.command == "exit" and not replace
        return None if came_back else outcome

    async def _image(self, command: str, arguments: list[str]) -> bytes:
        url = _first(command, arguments)
        try:
            answer = await self._fetch(url)
        except FetchError as error:
            raise ScriptError(f"{command}: {error}") from error
        if answer.status != 200:
            raise ScriptError(f"{command}: {url}: HTTP {answer.status}: {answer.text[:200].strip()}")
        return answer.body


def _split(line: str) -> list[tuple[str, list[str]]]:
    """Cut a line into commands, each with the joint (`&&` or `||`) before it."""
    commands: list[tuple[str, list[str]]] = [("&&", [])]
    for word in line.split():
        if word in ("&&", "||"):
            commands.append((word, []))
        else:
            commands[-1][1].append(word)
    return [(joint, words) for joint, words in commands if words]


def _without_switches(command: str, words: list[str]) -> list[str]:
    """Take leading options away; what follows the first argument belongs to the command (a kernel's `--x`).

    Raises:
        ScriptError: an option that the command does not have.
    """
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        name, equals, _ = option.partition("=")
        if name in VALUED.get(command, ()):
            if not equals and rest:
                rest.pop(0)
        elif option not in SWITCHES[command]:
            raise ScriptError(f"{command}: unrecognised option {option}")
    return rest


def _first(command: str, arguments: list[str]) -> str:
    if not arguments:
        raise ScriptError(f"{command}: an argument is missing")
    return arguments[0]

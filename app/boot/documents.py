"""The documents of a Talos machine configuration: one YAML text taken apart, each as it is written.

Kind and name are read as Talos reads them: the plain texts at the top level of a document. Directives and the marks
between documents belong to none of them; documents without content are left out, as Talos does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

V1ALPHA1: Final = "v1alpha1"
_MERGE: Final = "<<"
_NULL: Final = "tag:yaml.org,2002:null"
_LONGEST_WORDS: Final = 120


class NotYaml(Exception):
    """The text cannot be read; the words say why and in which line, and show no values of it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    number: from 1, not counting empty ones. line: where it begins, from 1. kind, name, api_version: '' where it has
    none. text: ends with a line end. fault: why Talos would not take it, or ''.
    """

    number: int
    line: int
    kind: str
    name: str
    api_version: str
    text: str
    fault: str = ""


def split(text: str) -> list[Document]:
    """The documents of a text. Raises NotYaml."""
    found: list[Document] = []
    try:
        for node, part in _Loader(text).parts(text):
            if not (isinstance(node, yaml.ScalarNode) and node.tag == _NULL):
                found.append(_document(len(found) + 1, node, part))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise NotYaml(f"{where}{_cut(error.problem or 'is not understood')}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NotYaml(f"line {line}: a character that YAML does not allow, U+{ord(text[error.position]):04X}") from None
    except RecursionError:
        raise NotYaml("it is nested too deeply") from None
    return found


class _Loader(yaml.SafeLoader):
    """Gives nodes, and refuses what Talos' own reader would: a key that stands twice."""

    def parts(self, text: str) -> Iterator[tuple[yaml.Node, str]]:
        """Each document as a node, and as it is written."""
        loader: Any = self
        loader.get_event()
        while not loader.check_event(yaml.StreamEndEvent):
            start = loader.get_event()
            if start.tags:
                raise yaml.MarkedYAMLError(problem="%TAG is not supported", problem_mark=start.start_mark)
            node = loader.compose_node(None, None)
            end = loader.get_event()
            loader.anchors = {}
            yield node, _between(text, start, end)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != _MERGE:
                if key.value in seen:
                    words = f"the key {_cut(key.value)!r} stands twice"
                    raise yaml.MarkedYAMLError(problem=words, problem_mark=key.start_mark)
                seen.add(key.value)
        return node


def _document(number: int, node: yaml.Node, text: str) -> Document:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        return Document(number, line, "", "", "", text, "is not a mapping of fields; write `kind: …` and so on")
    fields: dict[str, str] = {}
    fault = ""
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value == _MERGE:
            fault = "has a merge key (<<) at its top level; write those fields out"
        if isinstance(value, yaml.ScalarNode):
            fields[key.value] = "" if value.tag == _NULL else value.value
    return Document(
        number, line, fields.get("kind", ""), fields.get("name", ""), fields.get("apiVersion", ""), text, fault
    )


def _between(text: str, start: Any, end: Any) -> str:
    """What stands between the events of a document's start and end."""
    if start.explicit:
        begin = start.end_mark.index
        begin += len("\r\n") if text.startswith("\r\n", begin) else int(text.startswith("\n", begin))
    else:  # its indentation belongs to it
        begin = text.rfind("\n", 0, start.start_mark.index) + 1
    piece = text[begin : end.start_mark.index]
    return piece if piece.endswith("\n") else piece + "\n"


def _cut(words: str) -> str:
    line = "".join(c if c.isprintable() else " " for c in words)
    return line if len(line) <= _LONGEST_WORDS else line[: _LONGEST_WORDS - 1] + "…"

"""The blocks of docs/tutorial.md, for the tests that look at them and those that run them.

A block is what stands between fences. The words behind the first fence say what it is: `sh lab` is run against the lab,
and the `text` right below it is what comes out (`…` stands for anything); `sh omni STEP` is done by the stand-ins.
"""

import re
from dataclasses import dataclass
from pathlib import Path

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"
FENCED = re.compile(r"^```(?P<tag>.*)\n(?P<text>(?:(?!```).*\n)*)```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """line: where it begins. expected: what it prints, if that is said."""

    tag: str
    text: str
    line: int
    expected: str = ""

    @property
    def step(self):
        """What `sh omni` is called for the stand-ins."""
        return self.tag.removeprefix("sh omni").strip()


def blocks(page=None):
    """All of them, in order."""
    page = TUTORIAL.read_text(encoding="utf-8") if page is None else page
    found, last_end = [], -1
    for match in FENCED.finditer(page):
        tag, text = match["tag"].strip(), match["text"]
        if tag == "text" and found and found[-1].tag == "sh lab" and not page[last_end : match.start()].strip():
            command = found.pop()
            found.append(Block(command.tag, command.text, command.line, text))
        else:
            found.append(Block(tag, text, page.count("\n", 0, match.start()) + 1))
        last_end = match.end()
    return found


def missing(expected, printed):
    """The first expected line that was not printed, in this order; '' where all were. Spaces count as one."""
    at, text = 0, "\n".join(" ".join(line.split()) for line in printed.splitlines())
    for line in filter(None, (" ".join(line.split()) for line in expected.splitlines())):
        wanted = re.compile(r"[^\n]*".join(map(re.escape, line.split("…"))))
        found = wanted.search(text, at)
        if found is None:
            return line
        at = found.end()
    return ""

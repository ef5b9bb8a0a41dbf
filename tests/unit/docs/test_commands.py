"""What the pages tell people to type exists: commands, options, variables, services of docker compose."""

import re
from pathlib import Path

import click
import pytest
import yaml

from app.cli import main
from config.options import OPTIONS
from lab.options import _parser
from tests.tutorial import blocks, missing

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TAGS = re.compile(r"sh lab|sh omni( \w+)?|yaml omni|text")
STEPS = {"register", "boot", "accept", "cluster", "release", "remove"}
FLAGS = {option.flag for option in OPTIONS.values() if not option.environment_only}
LAB_FLAGS = {flag for action in _parser()._actions for flag in action.option_strings}
# Where one command ends and the next begins.
BETWEEN = re.compile(r"[|;&<>()`#\n]")


def typed(text):
    """The words behind each `omni-metal` in lines for a terminal, as far as the command goes."""
    text = text.replace("\\\n", " ")
    for match in re.finditer(r"(?<![\w./=-])(?:\.venv/bin/)?omni-metal (?=\S)", text):
        yield BETWEEN.split(text[match.end() :], maxsplit=1)[0].split()


def unknown(words):
    """The words that the program does not know: its command, and what begins with two dashes."""
    if words[0] in ("--help", "--version"):
        return []
    command = main.commands.get(words[0])
    if command is None:
        return [words[0]]
    own = {flag for parameter in command.params if isinstance(parameter, click.Option) for flag in parameter.opts}
    known = FLAGS | own | {"--help"} | (LAB_FLAGS if words[0] == "lab" else set())
    return [word for word in words[1:] if word.startswith("--") and word.strip('"').partition("=")[0] not in known]


def for_a_terminal(page):
    """The blocks of a page: fenced, or set in by four spaces."""
    text = page.read_text(encoding="utf-8")
    return [*(block.text for block in blocks(text)), *re.findall(r"(?:^ {4}\S.*\n)+", text, re.MULTILINE)]


def test_each_block_of_the_tutorial_says_for_whom_it_is():
    assert [block.tag for block in blocks() if not TAGS.fullmatch(block.tag)] == []


def test_each_step_that_the_stand_ins_do_is_there_once():
    assert sorted(block.step for block in blocks() if block.tag.startswith("sh omni") and block.step) == sorted(STEPS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_in_a_page_exists_with_its_options(page):
    wrong = [(words, unknown(words)) for block in for_a_terminal(page) for words in typed(block) if unknown(words)]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_variable_that_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    variables = set(re.findall(r"\bOMNI_METAL_[A-Z_]*[A-Z]", text))
    assert variables - {option.variable for option in OPTIONS.values()} == set()


def test_each_service_that_the_tutorial_names_is_in_the_compose_file():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"].keys()
    named = {
        service
        for block in blocks()
        for service in re.findall(r"docker compose (?:run|exec)(?: --\S+)* (\w[\w-]*)", block.text)
    }
    assert named
    assert named <= services


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("omni-metal machines --json | head", []),
        ("omni-metal retry $M --wait=1m && omni-metal nap", ["nap"]),
        (".venv/bin/omni-metal run \\\n    --id x --nope=1", ["--nope=1"]),
        ("omni-metal machines --wait=1m", ["--wait=1m"]),
        ("omni-metal lab --once --plain-omni", []),
        ("omni-metal run --service-account-key=x", ["--service-account-key=x"]),
    ],
)
def test_what_the_program_does_not_know_is_found(line, found):
    assert [word for words in typed(line) for word in unknown(words)] == found


@pytest.mark.parametrize(
    ("expected", "printed", "left"),
    [
        ("a  …  c\n", "a b   c", ""),
        ("a…\n…d", "a b\nc d\n", ""),
        ("c\na", "a\nc", "a"),
        ("a … d", "a\nd", "a … d"),
    ],
)
def test_lines_are_expected_in_their_order(expected, printed, left):
    assert missing(expected, printed) == left

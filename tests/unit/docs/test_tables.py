"""The tables of docs/operations.md name what there is: phases, checks of the doctor, codes of trouble."""

import re
from pathlib import Path

import pytest

from app.doctor.checks import CHECKS
from app.doctor.finding import Verdict
from app.omni import errors
from app.omni.errors import AccountRefused, OmniError
from app.state.view import PHASES
from app.watcher.problem import NOT_YET

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# What the parts of the watcher say beside what Omni's errors say.
OTHER_CODES = {NOT_YET.code, "another-provider", "no-join-config", "redis-unreachable", "fault"}


def first_column(heading):
    """The names in the first column of the table with this heading."""
    table = PAGE.partition(f"\n| {heading} | ")[2].partition("\n\n")[0]
    rows = table.splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def kinds_of(error):
    return {error, *(kind for below in error.__subclasses__() for kind in kinds_of(below))}


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("phase", PHASES),
        ("verdict", [verdict.value for verdict in Verdict]),
        ("check", [check.name for check in CHECKS]),
    ],
)
def test_table_has_each_name_once(heading, names):
    assert sorted(first_column(heading)) == sorted(names)


def test_each_code_in_the_table_of_troubles_is_one():
    known = {kind.code for kind in kinds_of(OmniError)} | OTHER_CODES
    assert set(first_column("code")) - known == set()


def test_each_way_to_be_refused_or_to_be_away_has_a_row():
    refused = {kind.code for kind in kinds_of(AccountRefused) - {AccountRefused}}
    away = {kind.code for kind in kinds_of(errors.OmniUnavailable)}
    lasting = {kind.code for kind in kinds_of(OmniError) if kind.lasting} - {AccountRefused.code}
    assert (refused | away | lasting | OTHER_CODES) - set(first_column("code")) == set()


def test_each_link_within_the_page_leads_somewhere():
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) - anchors == set()


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name)
def test_each_link_to_a_file_leads_to_one(page):
    links = re.findall(r"\]\(((?!https?:|#)[^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []

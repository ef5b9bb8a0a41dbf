"""The table of quirks: who is in which row, and that the documentation shows the same one."""

import re
from pathlib import Path

import pytest

from workers.bmc.known import BmcKind, Known
from workers.bmc.quirks import QUIRKS, Effect, Quirk, has, quirks_of

DOCS = Path(__file__).parents[4] / "docs" / "bmc.md"


def said(vendor="", model="", firmware=""):
    return Known(BmcKind.REDFISH, vendor=vendor, model=model, firmware=firmware)


@pytest.mark.parametrize(
    ("vendor", "patient"),
    [
        ("HPE", True),
        ("Hewlett Packard Enterprise", True),
        ("GIGABYTE, AMI Redfish Server", True),
        ("Dell Inc.", False),
        ("Supermicro", False),
        ("Miami Servers", False),
        ("", False),
    ],
)
def test_vendor_that_refuses_logins_now_and_then_is_known_by_its_name(vendor, patient):
    assert has(Effect.PATIENT_LOGIN, said(vendor)) is patient


def test_row_by_answer_needs_that_answer():
    assert has(Effect.BUSY, said("Dell Inc."), "IDRAC.2.8.SYS518")
    assert not has(Effect.BUSY, said("Dell Inc."), "IDRAC.2.8.SYS5180")
    assert not has(Effect.BUSY, said("Dell Inc."))
    assert has(Effect.FUTURE_STATE, said(), "Ami.1.0.OperationSupportedInFutureStateURI")


def test_row_is_chosen_by_all_that_it_names():
    quirk = Quirk("q", Effect.ALWAYS, "s", "r", "l", vendor="acme", model="^X1", firmware=r"^1\.[0-4]\.")
    assert quirk.fits(said("ACME Inc.", "x100", "1.2.3"), "")
    others = (("Other", "X100", "1.2.3"), ("ACME", "Y", "1.2.3"), ("ACME", "X1", "1.5.0"), ("ACME", "", ""))
    for other in others:
        assert not quirk.fits(said(*other), "")


def test_rows_of_a_bmc_are_those_that_it_is_in():
    names = {quirk.name for quirk in quirks_of(said("Dell Inc."))}
    assert names
    assert all(name.startswith("dell") for name in names)
    assert quirks_of(said("Nobody")) == ()


def test_each_row_has_a_name_of_its_own_words_and_a_link():
    assert len({quirk.name for quirk in QUIRKS}) == len(QUIRKS)
    for quirk in QUIRKS:
        assert quirk.symptom
        assert quirk.remedy
        assert re.fullmatch(r"https://\S+", quirk.link)
        for pattern in (quirk.vendor, quirk.model, quirk.firmware, quirk.answer):
            re.compile(pattern)


def test_documentation_shows_the_table():
    rows = [f"| [{quirk.name}]({quirk.link}) | {quirk.symptom} | {quirk.remedy} |" for quirk in QUIRKS]
    shown = [line for line in DOCS.read_text().splitlines() if line.startswith("| [")]
    assert shown == rows, "docs/bmc.md, section Quirks, should hold:\n" + "\n".join(rows)

"""What is sent so that a System boots from the network once, and what counts as read back."""

import pytest

from tests.unit.workers.bmc.redfish import shapes
from workers.bmc.redfish.boot import (
    difference,
    etag_ladder,
    names_mode,
    order,
    settings_place,
    system_place,
    takes_orders,
    without_mode,
)
from workers.bmc.redfish.service import Document
from workers.bmc.redfish.system import read_system

ONCE = {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}


def place(content):
    return system_place(read_system(Document("/s", content)))


@pytest.mark.parametrize(
    ("content", "mode", "sent"),
    [
        (shapes.IDRAC, "uefi", ONCE | {"BootSourceOverrideMode": "UEFI"}),
        (shapes.IDRAC, "bios", ONCE | {"BootSourceOverrideMode": "Legacy"}),
        (shapes.ILO5, "uefi", ONCE | {"BootSourceOverrideMode": "UEFI"}),
        (shapes.SUPERMICRO, "uefi", ONCE),  # shows no mode
        (shapes.OPENBMC, "uefi", ONCE),
        (shapes.XCC, "uefi", ONCE | {"BootSourceOverrideMode": "UEFI"}),
        (shapes.XCC, "bios", ONCE),  # has no such mode
        (shapes.AMI, None, ONCE),  # by option
    ],
)
def test_order_names_target_enabled_and_the_mode_that_the_bmc_has(content, mode, sent):
    assert order(place(content), content["Boot"], mode) == {"Boot": sent}


def test_settings_object_takes_the_order_only_where_it_has_boot_settings():
    assert takes_orders(settings_place(Document("/sd", shapes.AMI_SETTINGS)))
    assert not takes_orders(settings_place(Document("/sd", shapes.IDRAC_SETTINGS)))
    assert not takes_orders(settings_place(Document("/sd", {"Boot": None})))


def test_mode_that_only_the_system_shows_is_sent_to_its_settings_object_too():
    body = order(settings_place(Document("/sd", {"Boot": dict(ONCE)})), shapes.AMI["Boot"], "bios")
    assert body["Boot"]["BootSourceOverrideMode"] == "Legacy"


def test_order_without_a_mode_is_otherwise_the_same():
    body = order(place(shapes.IDRAC), {}, "uefi")
    assert names_mode(body)
    assert without_mode(body) == {"Boot": ONCE}
    assert not names_mode(without_mode(body))


@pytest.mark.parametrize(
    ("header", "body", "ladder"),
    [
        ("", "", ("", "*")),
        ('"a"', "", ('"a"', "", "*")),
        ('W/"a"', 'W/"a"', ('W/"a"', '"a"', "", "*")),
        ('""a""', '"a"', ('""a""', '"a"', "", "*")),
    ],
)
def test_etags_are_tried_from_the_given_one_to_none_to_any(header, body, ladder):
    assert etag_ladder(header, body) == ladder


@pytest.mark.parametrize(
    ("shown", "mode", "words"),
    [
        (ONCE, "uefi", ""),
        (ONCE | {"BootSourceOverrideMode": "UEFI"}, "uefi", ""),
        (ONCE | {"BootSourceOverrideMode": "Legacy"}, None, ""),
        (ONCE | {"BootSourceOverrideMode": "Legacy"}, "uefi", "it shows BootSourceOverrideMode Legacy"),
        (ONCE | {"BootSourceOverrideEnabled": "Disabled"}, "uefi", "it shows BootSourceOverrideEnabled Disabled"),
        ({}, "uefi", "it shows BootSourceOverrideTarget None, BootSourceOverrideEnabled None"),
        (ONCE | {"BootSourceOverrideTarget": "\x1b" * 900}, "uefi", "it shows BootSourceOverrideTarget "),
    ],
)
def test_what_is_shown_instead_is_said_in_words(shown, mode, words):
    assert difference(shown, mode) == words

"""How the power of a machine and its BMC are told."""

from dataclasses import replace

import pytest

from app.machine.model import BmcConfiguration, Facts, Ipmi
from app.state.bmc_notes import BmcFound, BmcTrouble
from app.state.facts import PowerRead
from app.web import power
from app.web.schemas import MachineDetailSchema
from app.web.spans import span
from tests.unit.web.stand_ins import NOW, picture
from tests.unit.web.test_pages_words import view

NOW_MS = int(NOW.timestamp() * 1000)
UNKNOWN = replace(picture(), facts=Facts())
FOUND = BmcFound("redfish", "/redfish/v1/Systems/1", "Wiwynn", "SV7220G3", "2.01", "", NOW_MS - 600_000)
TROUBLE = BmcTrouble(
    NOW_MS - 420_000, False, "no answer", "BmcUnreachable", "Check the power", 3, "192.0.2.1:623", NOW_MS + 50_000
)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (view(replace(picture(), facts=Facts(powered_on=False))), "off"),
        (view(replace(picture(), facts=Facts(powered_on=True))), "on"),
        (view(UNKNOWN), "unknown"),
        (view(UNKNOWN, power_read=PowerRead(False, NOW_MS - 420_000)), "off, read 7 min ago"),
        (view(UNKNOWN, power_read=PowerRead(True, NOW_MS - 7_200_000)), "on, read 2 h 0 min ago"),
    ],
)
def test_old_answer_is_told_with_its_age_and_never_as_one_of_now(seen, said):
    assert power.power(seen) == said


def test_old_answer_is_null_in_the_api_and_stands_beside_it():
    told = MachineDetailSchema().dump(view(UNKNOWN, power_read=PowerRead(False, NOW_MS)))
    assert told["powered_on"] is None
    assert told["power_read"]["powered_on"] is False and told["power_read"]["at"].startswith("2026-")


def test_bmc_is_told_as_it_was_found_and_else_as_its_login_says():
    ipmi = replace(picture(), bmc_configuration=BmcConfiguration(ipmi=Ipmi("192.0.2.1", 623, "u", "p")))
    assert power.bmc_kind(view(ipmi)) == "ipmi"
    assert power.bmc_kind(view(ipmi, bmc_found=FOUND)) == "redfish"
    assert power.bmc_kind(view(replace(ipmi, bmc_configuration=None))) == ""
    assert power.bmc_name(view(ipmi, bmc_found=FOUND)) == "Wiwynn SV7220G3 (firmware 2.01), seen 10 min ago"
    assert power.bmc_name(view(ipmi)) == power.bmc_name(view(ipmi, bmc_found=BmcFound("api"))) == ""
    told = MachineDetailSchema().dump(view(ipmi, bmc_found=FOUND))["bmc"]["found"]
    assert (told["kind"], told["vendor"], told["system"]) == ("redfish", "Wiwynn", "/redfish/v1/Systems/1")


def test_trouble_is_told_with_class_cause_remedy_and_next_try():
    seen = view(UNKNOWN, bmc_trouble=TROUBLE)
    words = "BmcUnreachable for 7 min (3 failures in a row): no answer. Check the power. Asked again in 50 s."
    assert power.trouble(seen) == words
    assert power.trouble(view()) == ""
    told = MachineDetailSchema().dump(seen)["bmc_trouble"]
    assert (told["error"], told["failures"], told["hint"]) == ("BmcUnreachable", 3, "Check the power")
    assert told["next_at"] is not None
    refused = replace(TROUBLE, refused=True, next_ms=0)
    assert power.trouble(view(bmc_trouble=refused)).endswith("Asked again with another login, or after a retry.")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (-5, "0 s"), (59.9, "59 s"), (61, "1 min"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_times_are_said_as_people_say_them(seconds, said):
    assert span(seconds) == said

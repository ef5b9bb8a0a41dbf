"""Systems as vendors show them, and which of several is the machine's."""

import pytest

from app.machine.model import PowerState
from tests.unit.workers.bmc.redfish import shapes
from workers.bmc.known import BmcKind
from workers.bmc.redfish.service import Document
from workers.bmc.redfish.system import choose, is_another, is_same, known_of, read_system, reset_types_in

OTHER = "99999999-5544-7766-8899-aabbccddeeff"
VENDORS = {name: getattr(shapes, name) for name in ("IDRAC", "ILO5", "SUPERMICRO", "XCC", "AMI", "OPENBMC")}


def read(content, etag=""):
    return read_system(Document(content.get("@odata.id", "/s"), content, etag))


@pytest.mark.parametrize(
    ("vendor", "power"),
    [
        ("IDRAC", PowerState.ON),
        ("ILO5", PowerState.OFF),
        ("SUPERMICRO", PowerState.ON),
        ("XCC", PowerState.UNKNOWN),  # on its way
        ("AMI", PowerState.OFF),
        ("OPENBMC", PowerState.ON),
    ],
)
def test_power_is_read_from_each_vendors_system(vendor, power):
    assert read(VENDORS[vendor]).power is power


def test_place_of_the_reset_is_read_from_each_vendors_system():
    for content in VENDORS.values():
        assert read(content).reset_path.startswith(content["@odata.id"].rstrip("/") + "/Actions/ComputerSystem.Reset")


def test_reset_types_are_read_where_they_stand():
    assert "PowerCycle" in read(shapes.IDRAC).reset_types
    assert "PowerCycle" not in read(shapes.ILO5).reset_types
    assert read(shapes.OPENBMC).reset_types is None
    assert read(shapes.OPENBMC).reset_info_path == "/redfish/v1/Systems/system/ResetActionInfo"
    assert "ForceRestart" not in reset_types_in(Document("", shapes.OPENBMC_RESETS))
    assert "ForceRestart" in reset_types_in(Document("", shapes.SUPERMICRO_RESETS))


@pytest.mark.parametrize("content", [{}, {"Parameters": None}, {"Parameters": [None, {"Name": "Other"}]}])
def test_action_info_that_lists_nothing_says_nothing(content):
    assert reset_types_in(Document("", content)) is None


def test_system_without_anything_is_read_as_saying_nothing():
    system = read({})
    assert (system.power, system.reset_path, system.reset_types, system.boot) == (PowerState.UNKNOWN, "", None, {})


@pytest.mark.parametrize("wrong", [None, 7, "x", [], [None], {"a": None}, True])
def test_system_whose_parts_are_of_another_type_is_read_all_the_same(wrong):
    keys = ("@Redfish.Settings", "Actions", "Boot", "Links", "PowerState", "UUID", "Manufacturer", "@odata.etag")
    assert read(dict.fromkeys(keys, wrong)).power is PowerState.UNKNOWN
    assert read({"Links": {"ManagedBy": wrong}, "Actions": {"#ComputerSystem.Reset": wrong}}).reset_path == ""


def test_allowed_types_that_were_left_empty_are_as_if_not_said():
    assert read({"Actions": shapes.reset("/reset")}).reset_types is None


def test_uuid_is_the_same_in_both_byte_orders():
    assert is_same(shapes.UUID, shapes.UUID.upper())
    assert is_same(shapes.UUID, shapes.SWAPPED)
    assert not is_same(shapes.UUID, "33221100-5544-7766-8899-aabbccddee00")
    assert not is_same(shapes.UUID, "")
    assert not is_same("no uuid", "no uuid")


def test_system_with_the_machines_uuid_is_chosen_wherever_it_stands():
    systems = [read(shapes.SUPERMICRO), read(shapes.IDRAC), read(shapes.OPENBMC)]
    assert choose(shapes.UUID, systems) == (systems[1], "")


NIL, ONES = "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"


def test_only_system_is_chosen_with_a_doubt_where_it_tells_another_uuid():
    system = read(shapes.SUPERMICRO | {"UUID": OTHER})
    assert choose(shapes.UUID, [system]) == (
        system, f"the only System of its BMC has another UUID than the machine: {OTHER}",
    )  # fmt: skip


@pytest.mark.parametrize("told", ["", "not set", NIL, ONES, shapes.UUID])
def test_only_system_is_chosen_without_a_doubt_where_it_tells_no_other_uuid(told):
    system = read({"UUID": told})
    assert choose(shapes.UUID, [system]) == (system, "")


@pytest.mark.parametrize(
    ("told", "other"),
    [(OTHER, True), (shapes.UUID, False), (shapes.SWAPPED, False), ("", False), ("7", False), (NIL, False),
     (ONES, False)],
)  # fmt: skip
def test_uuid_is_of_another_machine_where_it_is_one_and_not_this_machines(told, other):
    assert is_another(shapes.UUID, told) is other


def test_first_of_several_strangers_is_chosen_with_a_doubt():
    system, doubt = choose(shapes.UUID, [read(shapes.OPENBMC), read(shapes.SUPERMICRO)])
    assert system.path == "/redfish/v1/Systems/system"
    assert doubt == (
        "none of the 2 Systems of its BMC has the machine's UUID, so the first is used: /redfish/v1/Systems/system"
    )


@pytest.mark.parametrize(
    ("root", "content", "vendor"),
    [
        ({"Vendor": "Dell", "Product": "Integrated Dell Remote Access Controller"}, shapes.IDRAC,
         "Dell Inc., Integrated Dell Remote Access Controller"),
        ({"Oem": {"Hpe": {}}}, shapes.ILO5, "HPE"),
        ({"Product": "AMI Redfish Server", "Oem": {"Ami": {}}}, shapes.AMI, "GIGABYTE, AMI Redfish Server"),
        ({}, shapes.OPENBMC, ""),
        ({"Vendor": 7, "Product": None, "Oem": []}, shapes.XCC, "Lenovo"),
    ],
)  # fmt: skip
def test_vendor_is_put_together_from_root_and_system(root, content, vendor):
    known = known_of(root, read(content), "a doubt")
    assert (known.kind, known.vendor, known.doubt) == (BmcKind.REDFISH, vendor, "a doubt")
    assert known.system == content["@odata.id"]


def test_what_a_bmc_says_of_itself_is_cut_and_cleaned():
    known = known_of({}, read(shapes.XCC | {"Manufacturer": "a\x1b[2J" + "b" * 9000, "Model": "c\nd"}))
    assert known.vendor.startswith("a [2Jb")
    assert len(known.vendor) <= 300
    assert known.model == "c d"

"""Whatever JSON a BMC shows: it is read without a fault, and nothing but one boot from the network is ever ordered."""

import json

from hypothesis import given
from hypothesis import strategies as st

from app.machine.model import PowerState
from workers.bmc.errors import BmcError
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish.answers import error_of, read_refusal
from workers.bmc.redfish.boot import ENABLED, MODE, TARGET, difference, order, settings_place, system_place
from workers.bmc.redfish.service import Document
from workers.bmc.redfish.system import choose, known_of, read_system, reset_types_in

KEYS = st.sampled_from(
    [
        "@Message.ExtendedInfo", "@Redfish.ActionInfo", "@Redfish.Settings", "@odata.etag", "@odata.id", "Actions",
        "#ComputerSystem.Reset", "AllowableValues", "Boot", ENABLED, MODE, TARGET, MODE + "@Redfish.AllowableValues",
        "Links", "ManagedBy", "Manufacturer", "Message", "MessageArgs", "MessageId", "Messages", "Model", "Name", "Oem",
        "Parameters", "PowerState", "ResetType", "ResetType@Redfish.AllowableValues", "SettingsObject", "UUID",
        "Vendor", "error", "code", "message", "target",
    ]
)  # fmt: skip
TEXTS = st.text("aB1.-/\x1b\n \u2028\u202eé\ud800", max_size=12) | st.sampled_from(["On", "Off", "ResetType"])
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | TEXTS
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=6)
MODES = st.sampled_from(["uefi", "bios", None])


@given(OBJECTS, OBJECTS)
def test_any_object_is_read_as_a_system_that_says_what_it_says(content, root):
    system = read_system(Document("/s", content))
    assert (system.power is PowerState.ON) == (content.get("PowerState") == "On")
    known = known_of(root, system, choose("m", [system, system])[1])
    for told in (known.vendor, known.model, known.doubt):
        assert len(told) <= 300
        assert told.isprintable()
    reset_types_in(Document("/i", content))


@given(OBJECTS, OBJECTS, MODES)
def test_what_is_ordered_is_one_boot_from_the_network_and_nothing_else(content, settings, mode):
    system = read_system(Document("/s", content))
    for place in (system_place(system), settings_place(Document("/sd", settings))):
        body = order(place, system.boot, mode)
        wanted = {TARGET: "Pxe", ENABLED: "Once"}
        if MODE in body["Boot"]:
            wanted[MODE] = {"uefi": "UEFI", "bios": "Legacy"}[mode]
        assert body == {"Boot": wanted}
        assert difference(body["Boot"], mode) == ""
        assert len(set(place.etags)) == len(place.etags)
        difference(place.boot, mode)


@given(st.integers(400, 599), st.binary(max_size=200) | JSON.map(repr).map(str.encode))
def test_any_error_becomes_one_of_ours(status, body):
    error = error_of(read_refusal(status, body), Known(BmcKind.REDFISH), "the BMC answered")
    assert isinstance(error, BmcError)
    assert error.executed is not True
    assert error.executed is False or status >= 500
    assert str(error).isprintable()


@given(st.integers(400, 599), JSON)
def test_any_error_in_json_becomes_one_of_ours(status, document):
    error = error_of(read_refusal(status, json.dumps(document).encode()), Known(BmcKind.REDFISH), "the BMC answered")
    assert len(str(error)) < 400
    assert error.executed is False or status >= 500

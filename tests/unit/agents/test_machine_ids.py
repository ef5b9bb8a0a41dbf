import pytest

from app.agents.machine_ids import NoMachineId, machine_id_in

ID = "4c4c4544-0042-3010-8052-c4c04f4e5031"


def test_id_is_found_and_lowered():
    assert machine_id_in([("user-agent", "x"), ("machine-id", ID.upper())]) == ID


@pytest.mark.parametrize("shown", [(), ("",), (ID, ID), (ID + "0",), ("{" + ID + "}",), (" " + ID,), (b"\xff",)])
def test_anything_else_is_refused(shown):
    with pytest.raises(NoMachineId):
        machine_id_in([("machine-id", value) for value in shown])

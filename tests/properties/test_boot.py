"""What must hold for the boot of every machine."""

from dataclasses import replace

from hypothesis import given, settings

from app.machine.boot import BootRequest, BootSettings, boot_for
from app.machine.errors import ScriptRefused
from app.machine.model import BmcConfiguration, Facts
from app.omni.kinds import BOOT_KINDS, PICTURE_KINDS
from app.omni.resources import attribute
from tests.properties.pictures import ID, NOW, machines

LEFT_OUT = {attribute(kind): None for kind in PICTURE_KINDS if kind not in BOOT_KINDS}


def read_for_a_boot(machine):
    """As much as `Mirror.load_to_boot` takes of a picture."""
    sparse = {**LEFT_OUT, "bmc_configuration": machine.bmc_configuration and BmcConfiguration()}
    if machine.wipe_status:
        sparse["infra_machine_status"] = None
    return replace(machine, now=NOW.replace(year=1999), facts=Facts(), **sparse)


def boot(machine):
    try:
        return boot_for(machine, BootRequest(ID), BootSettings("10.0.0.1"))
    except ScriptRefused as error:
        return str(error)


@settings(max_examples=600, deadline=None)  # few of them are about to boot Talos
@given(machines)
def test_boot_depends_on_nothing_but_what_is_read_for_it(machine):
    assert boot(read_for_a_boot(machine)) == boot(machine)


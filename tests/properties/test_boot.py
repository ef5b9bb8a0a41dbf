"""What must hold for the boot of every machine."""

from dataclasses import replace

from hypothesis import given, settings

from app.machine.boot import BootRequest, BootSettings, boot_for
from app.machine.errors import ScriptRefused
from app.machine.model import Facts
from app.omni.kinds import BOOT_KINDS, PICTURE_KINDS
from app.omni.resources import attribute
from tests.properties.pictures import ID, NOW, machines

LEFT_OUT = {attribute(kind): None for kind in PICTURE_KINDS if kind not in BOOT_KINDS}


def boot(machine):
    try:
        return boot_for(machine, BootRequest(ID), BootSettings("10.0.0.1"))
    except ScriptRefused as error:
        return str(error)


@settings(max_examples=600, deadline=None)  # few of them are about to boot Talos
@given(machines)
def test_boot_depends_on_nothing_but_the_kinds_that_are_read_for_it(machine):
    sparse = replace(machine, now=NOW.replace(year=1999), facts=Facts(), **LEFT_OUT)
    assert boot(sparse) == boot(machine)


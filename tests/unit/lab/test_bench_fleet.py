"""The fleet of the bench stands as after years: nothing is due on any of its machines."""

import fakeredis

from app.machine.decide import decide
from app.machine.facts import record_lost
from app.machine.model import BootMode, DecideOptions
from app.omni.kinds import PICTURE_KINDS, Kind
from app.state.mirror import Mirror
from app.state.secrets import Sealer
from lab.bench.fleet import machine_ids, put_machine
from lab.omni import StandInOmni


def test_machine_of_the_fleet_is_whole_and_idle():
    omni, mirror = StandInOmni("bench"), Mirror(fakeredis.FakeRedis(), Sealer(b"k" * 32))
    first, second = machine_ids(2)
    put_machine(first, omni)
    kinds = [kind for kind in PICTURE_KINDS if omni.get(kind, first) is not None]
    assert set(PICTURE_KINDS) - set(kinds) == {Kind.BMC_CONFIG}
    for kind in kinds:
        mirror.put(omni.get(kind, first))
    machine = mirror.load(first)
    decision = decide(machine, DecideOptions())
    assert (decision.operations, decision.boot_mode, record_lost(machine)) == ((), BootMode.AGENT_PXE, False)
    assert first != second

import json
from types import SimpleNamespace

from lab.bmc.chassis import BmcKind, Button
from lab.bmc.dice import Dice, Fault, Odds
from lab.bmc.ledger import Ledger
from lab.by_kind import by_kind, count_kinds, in_words, slowest_s
from lab.story import Told


def machine(machine_id, kind):
    return SimpleNamespace(id=machine_id, kind=kind, bmc=SimpleNamespace(ledger=Ledger(), dice=Dice(Odds(silent=1))))


def test_ledgers_and_dice_are_summed_up_by_kind():
    machines = [machine("a", BmcKind.IPMI), machine("b", BmcKind.API), machine("c", BmcKind.IPMI)]
    for each in machines:
        each.bmc.ledger.called("poweron")
        each.bmc.ledger.pressed(Button.POWER_ON)
        each.bmc.ledger.login(accepted=each.id == "a")
        each.bmc.dice.falls(Fault.SILENT)

    told = by_kind(machines)

    assert list(told) == [BmcKind.API, BmcKind.IPMI]
    ipmi = told[BmcKind.IPMI]
    assert (ipmi.machines, ipmi.calls, ipmi.executed, ipmi.faults) == (2, {"poweron": 2}, {"poweron": 2}, {"silent": 2})
    assert (ipmi.logins, ipmi.refused_logins) == (1, 1)
    assert json.loads(json.dumps(ipmi.summary())) == {
        "machines": 2,
        "calls": {"poweron": 2},
        "executed": {"poweron": 2},
        "logins": 1,
        "refused_logins": 1,
        "faults": {"silent": 2},
    }
    assert count_kinds(machines) == "1 api, 2 ipmi"
    assert in_words(ipmi.calls) == "2 poweron"


def test_slowest_machine_of_each_kind_is_found():
    machines = [machine("a", BmcKind.IPMI), machine("b", BmcKind.API), machine("c", BmcKind.IPMI)]
    told = Told("step", 3.0, 3, {}, {"a": 1.0, "b": 0.5, "c": 2.5})

    assert slowest_s(told, machines) == {BmcKind.API: 0.5, BmcKind.IPMI: 2.5}

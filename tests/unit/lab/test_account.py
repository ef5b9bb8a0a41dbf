import io
import json

from lab.account import Account, tell_summary
from lab.bmc.chassis import BmcKind
from lab.bmc.dice import Fault, Odds
from lab.rack import Rack, RackOptions
from lab.story import Told


def played():
    """A rack of two kinds after a life of one step, amid which an IPMI BMC has failed once."""
    rack = Rack(RackOptions(machines=2, kinds=(BmcKind.API, BmcKind.IPMI), odds=Odds(silent=1.0)))
    api, ipmi = rack.machines
    api.bmc.ledger.called("poweron")
    ipmi.bmc.ledger.called("poweron")
    ipmi.bmc.dice.falls(Fault.SILENT)
    account = Account(lives=[[Told("agent connected", 2.5, 2, {}, {api.id: 1.25, ipmi.id: 2.5})]])
    return account, rack


def test_summary_tells_of_each_kind_what_it_took_and_what_the_dice_did():
    out = io.StringIO()
    tell_summary(*played(), out)

    assert out.getvalue().splitlines()[-3:] == [
        "1 api: 1.2 s; asked for 1 poweron",
        "1 ipmi: 2.5 s; asked for 1 poweron",
        "  wrong by the dice: 1 silent",
    ]


def test_summary_for_a_program_tells_the_same():
    account, rack = played()

    summary = json.loads(json.dumps(account.summary(rack)))

    assert summary["lives"] == [
        [{"step": "agent connected", "took_s": 2.5, "slowest_s": {"api": 1.25, "ipmi": 2.5}}],
    ]
    assert {kind: told["faults"] for kind, told in summary["bmc_kinds"].items()} == {"api": {}, "ipmi": {"silent": 1}}
    assert summary["ok"]


def test_misconduct_at_a_bmc_makes_the_run_a_failure():
    account, rack = played()
    rack.machines[1].bmc.ledger.asked_gracefully()

    assert account.failed(rack)
    assert account.summary(rack)["complaints"] == [f"{rack.machines[1].id} (ipmi): 1 graceful resets at its BMC"]

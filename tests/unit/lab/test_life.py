from lab.bmc.chassis import BmcKind
from lab.bmc.dice import Odds
from lab.life import whole_life
from lab.observed import Observed
from lab.rack import Rack, RackOptions


def test_machine_counts_as_removed_when_no_session_with_its_bmc_is_open():
    removed = whole_life(Rack(RackOptions(machines=0)), 5)[-1]
    at = Rack(RackOptions(machines=1, kinds=(BmcKind.IPMI,))).machines[0]
    at.bmc.ledger.session_opened()

    assert removed.missing(at, Observed()) == "a session with its BMC is still open"
    at.bmc.ledger.session_closed()
    at.bmc.ledger.slot_taken()
    assert removed.missing(at, Observed()) == "a session with its BMC is still open"
    at.bmc.ledger.slot_freed()
    assert removed.missing(at, Observed()) == ""


def test_steps_wait_longer_where_the_dice_may_fall():
    fair = whole_life(Rack(RackOptions(machines=0)), 5)
    faulty = whole_life(Rack(RackOptions(machines=0, odds=Odds(silent=0.1))), 5)

    assert all(more.limit_s > step.limit_s + 600 for step, more in zip(fair, faulty, strict=True))

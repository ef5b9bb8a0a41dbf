"""What a provider must never do to a BMC, as far as the BMC's ledger shows it."""

from __future__ import annotations

from typing import Final

from lab.bmc.dice import Odds
from lab.bmc.ledger import Ledger

# A BMC may refuse a right login now and then, so it is tried up to three times; after that a BMC locks out.
MOST_REFUSALS_IN_A_ROW: Final = 3


def misconduct(ledger: Ledger, odds: Odds) -> list[str]:
    """What should not have happened at one BMC, in words.

    Args:
        ledger: of the BMC.
        odds: of its dice: where packets or answers are lost, the end of a session may be lost as well.
    """
    found = {
        f"{ledger.most_users} users at a time at its BMC": ledger.most_users > 1,
        f"{ledger.graceful_resets} graceful resets at its BMC": ledger.graceful_resets > 0,
        f"{ledger.most_refused_in_a_row} refused logins in a row at its BMC": ledger.most_refused_in_a_row
        > MOST_REFUSALS_IN_A_ROW,
    }
    if not (odds.packet_loss or odds.drop_after):
        found[f"{ledger.sessions_expired} sessions at its BMC that nobody closed"] = ledger.sessions_expired > 0
        found[f"{ledger.slots_expired} logins at its BMC whose slot nobody gave back"] = ledger.slots_expired > 0
        found[f"{ledger.most_sessions} sessions open at a time at its BMC"] = ledger.most_sessions > 1
    return [words for words, holds in found.items() if holds]

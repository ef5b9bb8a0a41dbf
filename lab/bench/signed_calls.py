"""How many signed calls a second one connection carries.

The stand-in shares this very process and checks each signature, so the figures are less than the client's own.
"""

from __future__ import annotations

import time
from typing import Final

from app.omni.account import read_account
from app.omni.client import Omni
from app.omni.kinds import Kind
from lab.omni.certificates import Certificate
from lab.omni.keys import make_key
from lab.omni.signatures import Signatures
from lab.omni.thread import OmniThread

SECONDS: Final = 5
PROVIDER: Final = "bench"


def best_second(certificate: Certificate | None, enough: float = float("inf")) -> int:
    """The most calls that were answered within one of some seconds, one after the other.

    Args:
        certificate: what the stand-in serves TLS with; None is without.
        enough: no further second is needed after so many calls in one.
    """
    key, best = make_key(PROVIDER), 0
    with (
        OmniThread(PROVIDER, signatures=Signatures(key), certificate=certificate) as server,
        Omni(server.endpoint, PROVIDER, signer=read_account(key.variable).sign, skip_verify=True) as omni,
    ):
        omni.create(Kind.WIPE_STATUS, "machine")
        for _ in range(SECONDS):
            best = max(best, _one_second(omni))
            if best >= enough:
                break
    return best


def _one_second(omni: Omni) -> int:
    end_s, calls = time.monotonic() + 1, 0
    while time.monotonic() < end_s:
        omni.get(Kind.WIPE_STATUS, "machine")
        calls += 1
    return calls

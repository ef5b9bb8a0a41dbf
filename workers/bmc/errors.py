"""What goes wrong with a BMC, by what the caller can do about it."""

from __future__ import annotations

from typing import Final

from app.machine.bmc_login import refused_remedy
from app.machine.model import BmcConfiguration
from workers.errors import OperationError

# Some BMCs refuse a right login now and then. Of a login that has worked, or has just been set, the third refusal in a
# row is believed, and nobody asks again; more would lock it out (iDRAC: three failures within a minute).
MOST_REFUSALS: Final = 3


class BmcError(OperationError):
    """A command failed.

    executed: False = surely not carried out; True = surely; None = nobody knows.
    refusals: how often in a row the login was refused that no error of the session told before; of a
        BmcAuthenticationFailed: in all, before that was believed.
    """

    refusals = 0

    def __init__(self, words: str, *, executed: bool | None = None) -> None:
        super().__init__(words)
        self.executed = executed


class BmcUnreachable(BmcError):
    """Nobody answers at the BMC's address."""

    hint = "Check that the BMC has power and that its address can be reached from the workers"


class BmcBusy(BmcError):
    """The BMC has no time or no session left."""

    backoff_s = (60,)
    hint = "It is tried again; where that goes on for long, close other sessions with this BMC, or restart it"


class BmcInUse(BmcBusy):
    """Somebody else of ours uses the BMC, which has one user at a time; nothing was sent."""


class BmcAuthenticationFailed(BmcError):
    """The BMC refuses the login. BMCs lock out: nothing asks again until a person does."""

    parks = True
    refusals = 1
    hint = "Correct the login, or give another one as a BMCConfig in Omni"

    def of(self, login: BmcConfiguration) -> BmcAuthenticationFailed:
        """With the remedy for this login."""
        self.hint = refused_remedy(login)
        return self


class BmcNoSystem(BmcError):
    """The BMC's Redfish lists no System, or none of this machine any more."""

    hint = "Look whether the BMC's firmware is too old for Redfish; `--redfish-use-when-available=false` speaks IPMI"


class BmcLoginUnusable(BmcError):
    """The login cannot be sent as it is: IPMI has no room for it, or Redfish no way to write it."""

    parks = True
    hint = (
        "IPMI takes users of up to 16 bytes and passwords of up to 20, Redfish users without a colon: change the login "
        "on the BMC and in Omni"
    )


class BmcUnsupported(BmcError):
    """The BMC cannot do that."""

    hint = "Update the BMC's firmware, or have the other protocol spoken (--redfish-use-when-available)"


class BmcNotPermitted(BmcUnsupported):
    """The BMC takes the login, and does not let it do that."""

    hint = "Give this user on the BMC the role of an operator or administrator"


class BmcRefused(BmcError):
    """The BMC answered with an error."""

    hint = "Look into the BMC's own log; `omni-metal bmc probe` shows what it says of itself"


class BmcNotTrusted(BmcError):
    """The BMC's certificate is not one that this host trusts. Nothing was sent."""

    hint = "Have this host trust its issuer, or set --redfish-insecure-skip-tls-verify"

"""What goes wrong with a BMC, by what the caller can do about it."""

from __future__ import annotations

from workers.errors import OperationError


class BmcError(OperationError):
    """A command failed. executed: False = surely not carried out; True = surely; None = nobody knows."""

    def __init__(self, words: str, *, executed: bool | None = None) -> None:
        super().__init__(words)
        self.executed = executed


class BmcUnreachable(BmcError):
    """Nobody answers at the BMC's address."""

    hint = "Check that the BMC has power and that its address can be reached from the workers"


class BmcBusy(BmcError):
    """The BMC has no time or no session left."""

    backoff_s = (60,)


class BmcInUse(BmcBusy):
    """Somebody else of ours uses the BMC, which has one user at a time; nothing was sent."""


class BmcAuthenticationFailed(BmcError):
    """The BMC refuses the login. BMCs lock out: nothing asks again until a person does."""

    parks = True
    hint = "Correct the login in Omni, then `omni-metal retry`"


class BmcNoSystem(BmcError):
    """The BMC's Redfish lists no System."""

    hint = "Look whether the BMC's firmware is too old for Redfish; `--redfish-use-when-available=false` speaks IPMI"


class BmcLoginUnusable(BmcError):
    """The login cannot be sent as it is: IPMI has no room for it."""

    parks = True
    hint = "IPMI takes users of up to 16 bytes and passwords of up to 20: change the login on the BMC and in Omni"


class BmcUnsupported(BmcError):
    """The BMC cannot do that."""


class BmcRefused(BmcError):
    """The BMC answered with an error."""

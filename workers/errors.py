"""Why an operation fails: each class says when the next attempt is worth it, and what a person can do."""

from __future__ import annotations

from app.machine.bmc_login import LOCKED_OUT
from app.machine.sentences import remedied


class OperationError(Exception):
    """An attempt failed.

    backoff_s: seconds to the next attempt after the 1st, 2nd, … failure; the last one repeats.
    parks: no clock will make it work, so it is parked at once and only a person or a new cause tries again.
    """

    backoff_s: tuple[float, ...] = (5, 15, 60, 300)
    parks = False
    hint = ""

    def words(self) -> str:
        """The cause and the remedy, for a person."""
        return remedied(str(self), self.hint)


class AgentUnavailable(OperationError):
    """The agent or its tunnel went away; it dials again by itself."""

    backoff_s = (1, 5, 15, 60)


class AgentRefused(OperationError):
    """The agent failed to do it, for a reason that may pass."""

    backoff_s = (1, 5, 15, 60)


class WipeNotPossible(OperationError):
    """Talos refuses to wipe these disks."""

    parks = True
    hint = "Free the disks by hand (RAID, LVM or multipath members must be released), then `omni-metal retry`"


class BmcStateUnknown(OperationError):
    """The machine did not reach the power state in time."""


class NothingChanged(OperationError):
    """Reboots that changed nothing."""

    hint = "Look at the machine's console: does it boot from the network, and does it reach this provider?"


class NotRecorded(OperationError):
    """A record of what was not sent stands in Omni, or may."""

    hint = "If the machine is not rebooted soon, ask for another reboot"


class AddressUnknown(OperationError):
    """The BMC's address cannot be found."""

    hint = "Check --api-power-mgmt-state-dir"


class BmcAddressMissing(OperationError):
    """The agent says that the BMC has no address; it may get one from DHCP later than its machine."""

    hint = "Give the BMC an address (DHCP or a fixed one), or give its login as a BMCConfig in Omni"


class BmcAddressRefused(OperationError):
    """The agent names an address to which no login is sent: it is no agent of ours, or an option is wrong."""

    parks = True
    hint = (
        "Look who this agent is. Where the address is right, allow it (--bmc-allowed-cidrs) and `omni-metal retry`, or "
        "give the login as a BMCConfig in Omni, which counts instead"
    )


class NewLoginRefused(OperationError):
    """The login that its agent has set is refused by the BMC: another password would fare no better."""

    parks = True
    hint = (
        "Give its login as a BMCConfig in Omni, which counts instead; or remove the cause on the BMC, then "
        "`omni-metal retry`"
    )


class NewLoginNotTaken(OperationError):
    """A login that took the place of a refused one is refused as well: it may be that the BMC has locked us out."""

    # Ten minutes are the longest lock-out that is known as a default (iDRAC).
    backoff_s = (660,)
    hint = (
        "The same login is tried once more after 11 minutes, in case that the BMC has locked us out; by "
        "`omni-metal retry` where its agent is not accessible then. A login that is given as a BMCConfig in Omni "
        "counts instead"
    )


class UserLoginUnusable(OperationError):
    """The login that a user gave cannot be one of a BMC. It is not taken over; the one before stays in use."""

    parks = True
    hint = "Correct it in Omni (BMCConfig); nothing else needs to be done"


class UserLoginRefused(OperationError):
    """The BMC refuses the login that a user gave. Nobody else sets it."""

    parks = True
    hint = f"Correct it in Omni (BMCConfig), or on the BMC and then `omni-metal retry`. {LOCKED_OUT}"


class OperationFailed(Exception):
    """What Celery and Flower show of a failed attempt: the cause in words."""

"""What BMCs do that their standards do not say: one table, and who is in a row of it.

A row is chosen by what the BMC says of itself (vendor, model, firmware) and by what it answered: each is a regular
expression that is looked for anywhere, upper or lower case; "" is met by all. docs/bmc.md shows the table.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from workers.bmc.known import Known


class Effect(enum.StrEnum):
    """What a client does about it."""

    ALWAYS = "always"  # the remedy harms nobody, so it is done with every BMC; the row says why
    BUSY = "busy"  # such an answer is no refusal: the BMC has no time yet
    PATIENT_LOGIN = "patient-login"  # one refusal of a login says nothing yet, not even of a new login
    FUTURE_STATE = "future-state"  # such an answer means that settings are changed at the System's /SD


@dataclass(frozen=True, slots=True)
class Quirk:
    """One row.

    name: of this row alone.
    effect: what is done about it.
    symptom: what the BMC does.
    remedy: what we do, in words.
    link: where it was reported.
    vendor, model, firmware: patterns for what the BMC says of itself.
    answer: a pattern for what it answered; "" where the row is not chosen by an answer.
    """

    name: str
    effect: Effect
    symptom: str
    remedy: str
    link: str
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    answer: str = ""

    def fits(self, known: Known, answer: str) -> bool:
        """Whether this BMC, which answered so, is in the row.

        What a BMC does not say of itself speaks against no row that is chosen by its answer as well.
        """
        said = ((self.vendor, known.vendor), (self.model, known.model), (self.firmware, known.firmware))
        told = [(pattern, text) for pattern, text in said if text or not self.answer]
        return all(_found(pattern, text) for pattern, text in (*told, (self.answer, answer)))


def quirks_of(known: Known) -> tuple[Quirk, ...]:
    """The rows for which a BMC is chosen by vendor, model or firmware, whatever it answers."""
    named = (quirk for quirk in QUIRKS if quirk.vendor or quirk.model or quirk.firmware)
    return tuple(quirk for quirk in named if replace(quirk, answer="").fits(known, ""))


def has(effect: Effect, known: Known, answer: str = "") -> bool:
    """Whether a BMC is in a row with this effect."""
    return any(quirk.effect is effect and quirk.fits(known, answer) for quirk in QUIRKS)


def _found(pattern: str, text: str) -> bool:
    return not pattern or _compiled(pattern).search(text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_DELL: Final = r"\bdell\b|idrac"
_HPE: Final = r"\bhpe?\b|hewlett|\bilo\b"
_AMI: Final = r"\bami\b|american megatrends|megarac"

QUIRKS: Final = (
    Quirk(
        name="dell-not-ready",
        effect=Effect.BUSY,
        vendor=_DELL,
        answer=r"\b(SYS518|SWC0700)\b",
        symptom="After a change of power, iDRAC answers for a while that its data sources are not available",
        remedy="Wait a minute, then begin anew",
        link="https://github.com/ironcore-dev/metal-operator/issues/170",
    ),
    Quirk(
        name="dell-sessions-full",
        effect=Effect.BUSY,
        vendor=_DELL,
        answer=r"\bRAC0218\b|maximum number of user sessions",
        symptom="iDRAC serves eight sessions at most; each that is not closed holds its place for half an hour",
        remedy="Wait a minute; no Redfish session is ever opened, each request carries the login",
        link="https://github.com/stmcginnis/gofish/issues/75",
    ),
    Quirk(
        name="sessions-full",
        effect=Effect.BUSY,
        answer=r"\bSessionLimitExceeded\b",
        symptom="The BMC has no session left",
        remedy="Wait a minute, then begin anew",
        link="https://redfish.dmtf.org/registries/",
    ),
    Quirk(
        name="hpe-in-post",
        effect=Effect.BUSY,
        answer=r"\bUnableToModifyDuringSystemPOST\b",
        symptom="iLO takes no boot settings while the machine is in its power-on self test",
        remedy="Wait a minute, then begin anew",
        link="https://github.com/ironcore-dev/metal-operator/issues/997",
    ),
    Quirk(
        name="hpe-refuses-login-now-and-then",
        effect=Effect.PATIENT_LOGIN,
        vendor=_HPE,
        symptom="iLO answers 401 now and then though the login is right",
        remedy="Believe the third refusal in a row",
        link="https://github.com/dsx-ai-factory/infra-controller/pull/69",
    ),
    Quirk(
        name="ami-refuses-login-now-and-then",
        effect=Effect.PATIENT_LOGIN,
        vendor=_AMI,
        symptom="BMCs with AMI's firmware (also GB200, GB300) answer 401 now and then though the login is right",
        remedy="Believe the third refusal in a row",
        link="https://github.com/dsx-ai-factory/infra-controller/pull/5349",
    ),
    Quirk(
        name="ami-future-state",
        effect=Effect.FUTURE_STATE,
        answer=r"\bOperationSupportedInFutureStateURI\b",
        symptom="AMI's firmware (ASRock, Gigabyte) refuses boot settings at the System, and names no settings object",
        remedy="Read the System's /SD, change it there with its ETag, and read it back there",
        link="https://github.com/DMTF/Redfish-Tacklebox/issues/144",
    ),
    Quirk(
        name="ami-if-match",
        effect=Effect.ALWAYS,
        vendor=_AMI,
        symptom="A change without If-Match is refused (PreconditionHeaderMissing)",
        remedy="Read the ETag first and send it",
        link="https://github.com/stmcginnis/gofish/issues/171",
    ),
    Quirk(
        name="etag-refused",
        effect=Effect.ALWAYS,
        symptom="412 for the very ETag that was given out: weak ones (W/) or doubly quoted ones are compared wrongly",
        remedy="Send it as it came, then without W/, then as it stands in the body, then none, then *",
        link="https://github.com/ansible-collections/community.general/pull/3268",
    ),
    Quirk(
        name="settings-object",
        effect=Effect.ALWAYS,
        symptom="Some show the boot settings at the System and take them at its settings object only",
        remedy="Change them where the settings object has them; read back both",
        link="https://github.com/DMTF/Redfish-Tacklebox/issues/111",
    ),
    Quirk(
        name="supermicro-reverts-mode",
        effect=Effect.ALWAYS,
        vendor="super ?micro",
        symptom="The boot mode falls back to the default where it is not sent along; the same goes for enabled",
        remedy="Send target, enabled and mode together, in one request",
        link="https://github.com/DMTF/Redfishtool/pull/106",
    ),
    Quirk(
        name="mode-not-advertised",
        effect=Effect.ALWAYS,
        symptom="Older BMCs have no BootSourceOverrideMode and refuse a request that names it",
        remedy="Send the mode only where the BMC shows one",
        link="https://github.com/ironcore-dev/metal-operator/pull/939",
    ),
    Quirk(
        name="mode-refused",
        effect=Effect.ALWAYS,
        symptom="iLO and XCC show the boot mode and refuse a request that names it; old Supermicro knows no UEFI there",
        remedy="Where it is refused, ask once more without the mode; what is read back says so",
        link="https://github.com/ansible-collections/community.general/issues/3509",
    ),
    Quirk(
        name="hpe-disabled-none",
        effect=Effect.ALWAYS,
        vendor=_HPE,
        symptom="iLO refuses BootSourceOverrideEnabled together with the target None",
        remedy="Nothing is ever disarmed: an order for one boot ends by itself",
        link="https://github.com/ironcore-dev/metal-operator/pull/998",
    ),
    Quirk(
        name="already-so",
        effect=Effect.ALWAYS,
        symptom="Power on of what is on, or off of what is off, is refused (409 by iDRAC, 400 by iLO, 0xd5 over IPMI)",
        remedy="Read the power back: what is as it was wished for has succeeded",
        link="https://github.com/openstack-k8s-operators/infra-operator/issues/434",
    ),
    Quirk(
        name="reset-types",
        effect=Effect.ALWAYS,
        symptom="Not every BMC has ForceRestart; some list what they have in an ActionInfo only",
        remedy="Read the list first: ForceRestart, else PowerCycle, else off and on",
        link="https://github.com/ibm-openbmc/bmcweb/pull/522",
    ),
    Quirk(
        name="uuid-byte-order",
        effect=Effect.ALWAYS,
        symptom="The first three groups of the System's UUID stand in the other byte order (BIOS versions differ)",
        remedy="Compare both ways",
        link="https://github.com/metal-stack/go-hal/issues/57",
    ),
    Quirk(
        name="ipmi-burst",
        effect=Effect.ALWAYS,
        symptom="A BMC answers IPMI no more after a burst of sessions, until it is started anew",
        remedy="One session an operation, one user at a time, --ipmi-min-interval between two sessions",
        link="https://github.com/siderolabs/omni/issues/785",
    ),
    Quirk(
        name="ipmi-slots",
        effect=Effect.ALWAYS,
        symptom="IPMI has a few sessions only; one that is not closed holds its slot for a minute",
        remedy="Close each, and say so again where nobody confirms it; where none is left, wait a minute",
        link="https://github.com/openbmc/openbmc/issues/1241",
    ),
    Quirk(
        name="ipmi-password-16",
        effect=Effect.ALWAYS,
        symptom="BMCs keep 16 bytes of a longer password without a word, and then refuse it",
        remedy="Passwords that we set have 16; of a longer one that is refused, say so",
        link="https://github.com/ipmitool/ipmitool/issues/347",
    ),
    Quirk(
        name="ipmi-arm-not-shown",
        effect=Effect.ALWAYS,
        symptom="Boot options that were set over IPMI are not shown, or shown without the mode or as not valid",
        remedy="What is shown instead is a warning; the machine is switched all the same",
        link="https://github.com/kubevirtbmc/kubevirtbmc/pull/234",
    ),
)

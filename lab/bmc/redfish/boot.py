"""The boot override of a System: what it is set to, what it reads back, and which changes it takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lab.bmc.redfish.answers import Document, Refused
from lab.bmc.redfish.traits import Traits

ENABLED: Final = "BootSourceOverrideEnabled"
TARGET: Final = "BootSourceOverrideTarget"
MODE: Final = "BootSourceOverrideMode"
ONCE, DISABLED = "Once", "Disabled"
PXE, NOTHING = "Pxe", "None"


class BootOverride:
    """Holds for one boot. It reads back until then."""

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._set = {ENABLED: DISABLED, TARGET: NOTHING, MODE: "UEFI"}

    @property
    def mode(self) -> str:
        """The mode that was set last."""
        return self._set[MODE]

    def shown(self, *, armed: bool) -> dict[str, str]:
        """What `Boot` says. armed: whether the next boot of the machine is from the network."""
        self._refresh(armed=armed)
        return {name: value for name, value in self._set.items() if name != MODE or self._traits.boot_modes}

    def changed(self, asked: Document) -> Mapping[str, str]:
        """What it is to be set to by the body of a PATCH of the System.

        Raises:
            Refused: the body asks for something else as well, or for what the System cannot do.
        """
        boot = asked.get("Boot")
        if set(asked) != {"Boot"} or not isinstance(boot, dict) or not boot:
            names = ", ".join(sorted(set(asked) - {"Boot"})) or "Boot"
            raise Refused(400, "PropertyNotWritable", f"The property {names} cannot be written so.")
        return {name: self._value(name, value) for name, value in boot.items()}

    def arms(self, changes: Mapping[str, str], *, armed: bool) -> bool:
        """Whether the next boot is to be from the network once it is so changed."""
        self._refresh(armed=armed)
        return self._holds({**self._set, **changes})

    def set(self, changes: Mapping[str, str]) -> None:
        """Change it, once the machine is armed, or is not."""
        self._set |= changes

    def _value(self, name: str, value: object) -> str:
        allowed = {ENABLED: (ONCE, DISABLED), TARGET: (NOTHING, PXE), MODE: self._traits.boot_modes}.get(name)
        if not allowed:
            raise Refused(400, "PropertyUnknown", f"The property {name} is not in the list of valid properties.")
        if not isinstance(value, str) or value not in allowed:
            raise Refused(400, "PropertyValueNotInList", f"The value {value!r:.50} of {name} is not in the list.")
        return value

    def _refresh(self, *, armed: bool) -> None:
        if self._holds(self._set) and not armed:  # there was a boot
            self._set |= {ENABLED: DISABLED, TARGET: NOTHING}

    @staticmethod
    def _holds(values: Mapping[str, str]) -> bool:
        return values[ENABLED] == ONCE and values[TARGET] == PXE

"""The marshmallow schema of all options: each value by itself, then those that must fit together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from marshmallow import Schema, ValidationError, fields, validates_schema

from config.defaults import default_value
from config.options import OPTIONS, Kind, Option
from config.values import parse_value

UNLESS_GIVEN: Final[dict[str, object]] = {option.attribute: default_value(name) for name, option in OPTIONS.items()}


class OptionField(fields.Field[object]):
    """The value of one option of the table."""

    def __init__(self, option: Option) -> None:
        """Make the field of `option`."""
        super().__init__(load_default=UNLESS_GIVEN[option.attribute])
        self.option = option

    def _deserialize(
        self,
        value: object,
        attr: str | None,  # noqa: ARG002 - marshmallow's signature
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's signature
        **_kwargs: object,
    ) -> object:
        try:
            return parse_value(self.option, value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class _Checks(Schema):
    """What has to hold between options; a value that is wrong by itself counts as its default here."""

    @validates_schema(skip_on_field_errors=False)
    def check_secure_boot(self, data: dict[str, Any], **_kwargs: object) -> None:
        """Refuse secure boot without UEFI, or with anything but images of the factory."""
        options = UNLESS_GIVEN | data
        problems = []
        if options["secure_boot_enabled"] and options["ipmi_pxe_boot_mode"] != "uefi":
            problems.append("needs --ipmi-pxe-boot-mode uefi; set that, or leave secure boot off")
        if options["secure_boot_enabled"] and options["use_local_boot_assets"]:
            problems.append("cannot be had with --use-local-boot-assets; choose one of the two")
        _raise({"secure_boot_enabled": problems})

    @validates_schema(skip_on_field_errors=False)
    def check_certificate_with_key(self, data: dict[str, Any], **_kwargs: object) -> None:
        """Refuse a certificate without its key, and the key without it."""
        options = UNLESS_GIVEN | data
        certificate, key, ca = options["tls_cert_file"], options["tls_key_file"], options["tls_ca_cert_file"]
        _raise(
            {
                "tls_cert_file": ["needs --tls-key-file as well"] if certificate and not key else [],
                "tls_key_file": ["needs --tls-cert-file as well"] if key and not certificate else [],
                "tls_ca_cert_file": ["needs --tls-cert-file as well"] if ca and not certificate else [],
            }
        )

    @validates_schema(skip_on_field_errors=False)
    def check_tls_port(self, data: dict[str, Any], **_kwargs: object) -> None:
        """Refuse one port for two listeners."""
        options = UNLESS_GIVEN | data
        if options["tls_enabled"] and options["tls_api_port"] == options["api_port"]:
            _raise({"tls_api_port": ["is the port of --api-port; choose another for one of them"]})

    @validates_schema(skip_on_field_errors=False)
    def check_config_rule(self, data: dict[str, Any], **_kwargs: object) -> None:
        """Refuse two rules for /config."""
        if data.get("config_open") and data.get("config_match_address"):
            _raise({"config_open": ["contradicts --config-match-address; choose one of the two"]})

    @validates_schema(skip_on_field_errors=False)
    def check_advertise_address(self, data: dict[str, Any], **_kwargs: object) -> None:
        """Refuse an address that means every address."""
        if data.get("api_advertise_address") in ("0.0.0.0", "::"):  # noqa: S104 - refused here, not listened on
            _raise({"api_advertise_address": ["must be an address that machines can reach, not a wildcard"]})

    @validates_schema(skip_on_field_errors=False)
    def check_flower_password(self, data: dict[str, Any], **_kwargs: object) -> None:
        """Refuse a password that Flower would let nobody in with: it compares ASCII only."""
        if not data.get("flower_password", "").isascii():
            _raise({"flower_password": ["must be of ASCII characters"]})


def _raise(problems: dict[str, list[str]]) -> None:
    problems = {attribute: found for attribute, found in problems.items() if found}
    if problems:
        raise ValidationError(cast("Any", problems))


def _shown(option: Option) -> str:
    if option.kind is Kind.SWITCH or option.default:
        return f" ({option.default})"
    return " (not set)"


OptionsSchema: Final = type(
    "OptionsSchema", (_Checks,), {option.attribute: OptionField(option) for option in OPTIONS.values()}
)

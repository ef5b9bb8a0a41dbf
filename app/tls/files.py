"""Certificate files of the operator's own: read, and checked for what an agent would refuse.

All that is wrong is told together, each with the option that names the file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from app.tls.authority import pem_of
from app.tls.pem import Key, PemUnreadable, read_certificates, read_key
from app.tls.trial import Refused, shake_hands
from config.settings import Settings

CERTIFICATE: Final = "tls-cert-file"
KEY: Final = "tls-key-file"
CA: Final = "tls-ca-cert-file"

Problem = tuple[str, str]


class FilesBad(Exception):
    """The files cannot be served. problems: the name of an option with what is wrong, for each such."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"--{option}: {words}" for option, words in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """What files held. certificate: PEM, with those that lead to the CA; expires: of the first certificate."""

    certificate: str
    key: Key = field(repr=False)
    expires: datetime
    issued: datetime


def check_files(settings: Settings, now: datetime) -> Iterator[Problem]:
    """The name of an option with what is wrong with its file and the remedy, for each such."""
    try:
        if settings.tls_enabled and settings.tls_cert_file and settings.tls_key_file:
            load_files(settings, now)
    except FilesBad as error:
        yield from error.problems


def load_files(settings: Settings, now: datetime) -> OwnFiles:
    """Read the files of `--tls-cert-file`, `--tls-key-file` and, where it is given, `--tls-ca-cert-file`.

    Args:
        settings: name the files, and the advertise address that the certificate must be for.
        now: when the certificate must be valid.

    Raises:
        FilesBad: they cannot be served.
    """
    found = _Findings()
    chain = found.certificates(CERTIFICATE, settings.tls_cert_file)
    key = found.key(KEY, settings.tls_key_file)
    authorities = found.certificates(CA, settings.tls_ca_cert_file) if settings.tls_ca_cert_file else []
    if chain:
        found.problems += [(CERTIFICATE, words) for words in _unfit(chain[0], settings, now)]
    if chain and key and key.public_key() != chain[0].public_key():
        found.problems.append((KEY, "is not the key of the certificate in --tls-cert-file"))
    if found.problems or not chain or not key:
        raise FilesBad(tuple(found.problems))
    _try_out(chain, key, authorities)
    text = "".join(map(pem_of, chain))
    return OwnFiles(text, key, chain[0].not_valid_after_utc, chain[0].not_valid_before_utc)


def load_ca(path: Path) -> str:
    """The certificates of a CA file, as PEM and nothing else. Raises FilesBad."""
    found = _Findings()
    authorities = found.certificates(CA, path)
    if found.problems:
        raise FilesBad(tuple(found.problems))
    return "".join(map(pem_of, authorities))


class _Findings:
    """Reads files, and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def certificates(self, option: str, path: Path | None) -> list[x509.Certificate]:
        try:
            return read_certificates(self._read(option, path))
        except PemUnreadable as error:
            self._note(option, str(error))
            return []

    def key(self, option: str, path: Path | None) -> Key | None:
        try:
            return read_key(self._read(option, path))
        except PemUnreadable as error:
            self._note(option, str(error))
            return None

    def _read(self, option: str, path: Path | None) -> bytes:
        try:
            return path.read_bytes() if path else b""
        except OSError as error:
            self._note(option, f"cannot be read, {error.strerror}; name a file that can be")
            return b""

    def _note(self, option: str, words: str) -> None:
        if option not in dict(self.problems):  # the first is the cause of the others
            self.problems.append((option, words))


def _unfit(certificate: x509.Certificate, settings: Settings, now: datetime) -> Iterator[str]:
    if now > certificate.not_valid_after_utc:
        yield f"has expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; name a newer one"
    if now < certificate.not_valid_before_utc:
        yield f"is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on; look at the clock"
    address = settings.api_advertise_address
    if not _is_for(certificate, address):
        yield (
            f"is not for {address}; name one that has the advertise address among its subject alternative names, or "
            "set --api-advertise-address to one of them"
        )
    if not (settings.tls_ca_cert_file or settings.tls_agent_skip_verify) and _signed_by_itself(certificate):
        yield (
            "is signed by itself, so no agent would trust it; name it as --tls-ca-cert-file as well, or set "
            "--tls-agent-skip-verify"
        )


def _is_for(certificate: x509.Certificate, address: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ipaddress.ip_address(address) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        wanted = address.removesuffix(".").lower()
        _, _, parent = wanted.partition(".")
        listed = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
        return wanted in listed or f"*.{parent}" in listed


def _signed_by_itself(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _try_out(chain: list[x509.Certificate], key: Key, authorities: list[x509.Certificate]) -> None:
    """Whether who trusts the CA file would trust the certificate, and any other fault that shows in a handshake."""
    trusted = "".join(map(pem_of, authorities or chain[:1]))
    try:
        shake_hands("".join(map(pem_of, chain)), key, trusted)
    except Refused as error:
        remedy = "name the file of the CA that has signed it" if authorities else "name another certificate"
        option, whose = (CA, "the certificate of --tls-cert-file") if authorities else (CERTIFICATE, "it")
        raise FilesBad(((option, f"an agent would refuse {whose}: {error}; {remedy}"),)) from None

"""Which certificate authority machines are told to trust, so that the agents on them find us to be who we are."""

from __future__ import annotations

from typing import Final, Protocol

import yaml

from app.boot.errors import ConfigNotReady
from app.boot.followed_file import FollowedFile
from app.tls.files import CA, FilesBad, load_ca
from config.settings import Settings

NAME: Final = "infra-provider-ca"


class AuthoritySource(Protocol):
    """Where our own authority is kept: the mirror."""

    def ca(self) -> str | None:
        """Its certificate, PEM; None while it is not known."""


class _Block(str):
    """A text that is written as it stands, line by line."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))


class Trust:
    """The document of Talos for it. Safe to use from many threads."""

    def __init__(self, settings: Settings, source: AuthoritySource) -> None:
        self._source = source
        self._enabled = settings.tls_enabled
        self._own_certificate = settings.tls_cert_file is not None
        path = settings.tls_ca_cert_file
        self._file = FollowedFile(CA, path, load_ca, FilesBad, settles_s=0) if path else None

    def documents(self) -> list[str]:
        """What is added to the machine configuration; nothing without TLS. Raises ConfigNotReady."""
        if not self._enabled:
            return []
        if self._file is not None:
            of_file = self._file.content()
            if not of_file:
                raise ConfigNotReady("the CA of TLS is not known: the provider's log says why")
            return [trusted_roots(of_file)]
        if self._own_certificate:
            return []  # agents know its authority, or do not verify
        certificate = self._source.ca()
        if certificate is None:
            raise ConfigNotReady(
                "the certificate authority of TLS has not been read from Omni yet: try again in a few seconds"
            )
        return [trusted_roots(certificate)]


def trusted_roots(certificates: str) -> str:
    """The document that has Talos trust these certificates (PEM)."""
    document = {
        "apiVersion": "v1alpha1",
        "kind": "TrustedRootsConfig",
        "name": NAME,
        "certificates": _Block(certificates),
    }
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False)
    return text

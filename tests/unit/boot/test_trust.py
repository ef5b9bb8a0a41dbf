"""Which authority machines are told to trust."""

import pytest
import yaml

from app.boot.errors import ConfigNotReady
from app.boot.trust import Trust
from config.settings import Settings
from tests.unit.tls.certificates import make


class Source:
    def __init__(self, pem="the certificate\nof ours\n"):
        self.pem = pem

    def ca(self):
        return self.pem


def documents(source=None, **settings):
    return [yaml.safe_load(text) for text in Trust(Settings(**settings), source or Source()).documents()]


def test_nothing_is_added_without_tls():
    assert documents(tls_enabled=False) == []


def test_own_authority_is_trusted_line_by_line():
    (text,) = Trust(Settings(tls_enabled=True), Source()).documents()
    assert "certificates: |\n" in text
    assert yaml.safe_load(text)["certificates"] == "the certificate\nof ours\n"


def test_own_authority_that_is_not_known_yet_asks_to_come_again():
    with pytest.raises(ConfigNotReady) as caught:
        documents(Source(None), tls_enabled=True)
    assert caught.value.retry_after_s


def test_certificate_without_a_ca_file_adds_nothing():
    assert documents(tls_enabled=True, tls_cert_file="/c", tls_key_file="/k") == []


def test_ca_file_is_trusted_with_certificates_alone_and_read_anew_when_it_changes(tmp_path):
    first, second = make("first", ca=True), make("second", ca=True)
    path = tmp_path / "ca.crt"
    path.write_bytes(b"a comment\n" + first.pem + b"more\n")
    trust = Trust(Settings(tls_enabled=True, tls_ca_cert_file=path, tls_cert_file=path, tls_key_file=path), Source())

    def trusted():
        return yaml.safe_load(trust.documents()[0])["certificates"].encode()

    assert trusted() == first.pem
    replacing(path, first.pem + second.pem)
    assert trusted() == first.pem + second.pem
    replacing(path, b"broken")
    assert trusted() == first.pem + second.pem
    path.unlink()
    assert trusted() == first.pem + second.pem
    path.write_bytes(second.pem)
    assert trusted() == second.pem


def test_ca_file_that_was_never_good_holds_boots_back(tmp_path):
    with pytest.raises(ConfigNotReady):
        documents(tls_enabled=True, tls_ca_cert_file=tmp_path / "none", tls_cert_file="/c", tls_key_file="/k")


def replacing(path, content):
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.replace(path)

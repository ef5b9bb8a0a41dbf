import ssl

import pytest

from app.omni.trust import GRPC_ROOTS, ssl_context, trusted_roots
from lab.omni.certificates import make_authority


@pytest.fixture(autouse=True)
def _anew(monkeypatch):
    """The roots are read anew by each test, and from nowhere but where it says."""
    for name in (GRPC_ROOTS, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    trusted_roots.cache_clear()
    yield
    trusted_roots.cache_clear()


@pytest.fixture
def authority():
    return make_authority("our own")


def _only(monkeypatch, tmp_path, **given):
    """Have the system's store be what is given."""
    monkeypatch.setenv("SSL_CERT_FILE", str(given.get("file", tmp_path / "no file")))
    monkeypatch.setenv("SSL_CERT_DIR", str(given.get("folder", tmp_path / "no folder")))


def test_certificates_of_a_file_are_trusted_each_once(monkeypatch, tmp_path, authority):
    file = tmp_path / "ca.pem"
    other = make_authority("another")
    file.write_bytes(b"# a comment\n" + authority.pem + other.pem + authority.pem)
    _only(monkeypatch, tmp_path, file=file)
    assert trusted_roots() == authority.pem.strip() + b"\n" + other.pem.strip()


def test_certificates_of_a_folder_are_trusted_by_their_hashed_names(monkeypatch, tmp_path, authority):
    (tmp_path / "1a2b3c4d.0").write_bytes(authority.pem)
    (tmp_path / "other.pem").write_bytes(make_authority("not hashed").pem)
    _only(monkeypatch, tmp_path, folder=tmp_path)
    assert trusted_roots() == authority.pem.strip()


def test_file_that_grpc_is_told_of_comes_first(monkeypatch, tmp_path, authority):
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.pem)
    monkeypatch.setenv(GRPC_ROOTS, str(file))
    assert trusted_roots() == authority.pem.strip()


def test_system_without_certificates_leaves_it_to_grpc(monkeypatch, tmp_path):
    _only(monkeypatch, tmp_path)
    assert trusted_roots() is None


def test_context_has_the_same_trust(monkeypatch, tmp_path, authority):
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.pem)
    _only(monkeypatch, tmp_path, file=file)
    context = ssl_context(skip_verify=False)
    assert context.verify_mode is ssl.CERT_REQUIRED
    trusted = [int(certificate["serialNumber"], 16) for certificate in context.get_ca_certs()]
    assert trusted == [authority.certificate.serial_number]


def test_context_that_skips_verifies_nothing():
    context = ssl_context(skip_verify=True)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)

"""Which CAs iPXE can be made to trust, and how they get into its binaries."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from app.boot.ipxe.authority import IPXE_ROOT, OPTION, CaUnfit, check_ipxe_ca, fingerprint, with_own_ca
from app.boot.ipxe.binaries import Binary
from config.settings import Settings
from tests.unit.boot.ipxe.binaries import content_of, rsa_ca
from tests.unit.tls.certificates import make

NOW = datetime.now(UTC)


@pytest.fixture
def file(tmp_path):
    def write(*texts):
        path = tmp_path / "ca.pem"
        path.write_bytes(b"".join(texts))
        return path

    return write


def test_fingerprint_is_of_the_der_also_with_text_around_the_pem(file):
    pem = rsa_ca("own").pem
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    assert fingerprint(file(b"Our CA\n", pem, b"# the end\n"), NOW) == hashlib.sha256(der).digest()


def test_efi_binaries_hold_the_own_root_in_place_of_ipxes_and_bios_stays(file):
    path = file(rsa_ca("own").pem)
    before = {binary: content_of(binary.value) for binary in Binary}
    after = with_own_ca(before, path)
    assert after[Binary.BIOS] == before[Binary.BIOS]
    for binary in set(Binary) - {Binary.BIOS}:
        assert after[binary] == before[binary].replace(IPXE_ROOT, fingerprint(path, NOW))
        assert IPXE_ROOT not in after[binary]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([b"nothing"], "no PEM certificate"),
        ([b""], "is empty"),
        ([make("ec", ca=True).pem], "is not an RSA certificate, and iPXE can verify no other"),
        ([rsa_ca("a").pem, rsa_ca("b").pem], "holds 2 certificates"),
        ([rsa_ca("leaf", ca=False).pem], "is not the certificate of a CA"),
    ],
)
def test_ca_that_ipxe_would_not_accept_is_refused_in_words(file, texts, words):
    with pytest.raises(CaUnfit, match=words):
        fingerprint(file(*texts), NOW)


def test_rsa_ca_signed_by_an_ecdsa_one_is_refused_since_ipxe_cannot_read_it(file):
    root = make("root", ca=True)
    with pytest.raises(CaUnfit, match="RSA"):
        fingerprint(file(rsa_ca("below", root).pem), NOW)


def test_expired_ca_is_refused_with_its_end(file):
    path = file(rsa_ca("old").pem)
    with pytest.raises(CaUnfit, match="has expired at"):
        fingerprint(path, NOW + timedelta(days=36_500))


def test_missing_file_is_told_with_its_option(tmp_path):
    problems = list(check_ipxe_ca(Settings(tls_custom_ipxe_ca_cert_file=tmp_path / "no"), NOW))
    assert problems == [(OPTION, "is not there; name a file with one PEM certificate")]


def test_nothing_is_wrong_without_the_option_or_with_a_good_ca(file):
    assert list(check_ipxe_ca(Settings(), NOW)) == []
    path = file(rsa_ca("own").pem)
    assert list(check_ipxe_ca(Settings(tls_custom_ipxe_ca_cert_file=path), NOW)) == []

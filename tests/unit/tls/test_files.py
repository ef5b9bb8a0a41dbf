from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from app.tls.files import CA, CERTIFICATE, KEY, FilesBad, check_files, load_ca, load_files
from app.tls.trial import shake_hands
from config.settings import Settings
from tests.unit.tls.certificates import make, now

ADDRESS = "192.0.2.7"
ROOT = make("root", ca=True)
LEAF = make("leaf", ROOT, names=[ADDRESS, "provider.lan"])


@pytest.fixture
def settings(tmp_path):
    certificate, key = LEAF.write(tmp_path, "leaf")
    ca, _ = ROOT.write(tmp_path, "root")
    return Settings(
        tls_enabled=True,
        api_advertise_address=ADDRESS,
        tls_cert_file=certificate,
        tls_key_file=key,
        tls_ca_cert_file=ca,
    )


def bad(settings):
    """What is wrong, by option."""
    return dict(check_files(settings, now()))


def serve(settings, made):
    settings.tls_cert_file.write_bytes(made.pem)
    settings.tls_key_file.write_bytes(made.key_pem())
    return settings


def test_good_files_are_read(settings):
    assert bad(settings) == {}
    files = load_files(settings, now())
    assert files.certificate.encode() == LEAF.pem
    assert files.expires == LEAF.certificate.not_valid_after_utc
    assert "key" not in repr(files)
    assert load_ca(settings.tls_ca_cert_file).encode() == ROOT.pem


@pytest.mark.parametrize(
    "key", [ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(public_exponent=65537, key_size=2048)]
)
def test_other_kinds_of_keys_are_taken(settings, key):
    assert bad(serve(settings, make("leaf", ROOT, names=[ADDRESS], key=key))) == {}


def test_keys_in_the_forms_of_openssl_and_go_are_taken(settings):
    old = LEAF.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    settings.tls_key_file.write_bytes(old)
    assert bad(settings) == {}
    leaf = make("leaf", ROOT, names=[ADDRESS], key=ed25519.Ed25519PrivateKey.generate())
    serve(settings, leaf)
    settings.tls_key_file.write_bytes(leaf.key_pem().replace(b"PRIVATE KEY", b"ED25519 PRIVATE KEY"))
    assert bad(settings) == {}


@pytest.mark.parametrize("address", ["provider.lan", "PROVIDER.lan", "provider.lan."])
def test_certificate_for_a_name_is_taken(settings, address):
    assert bad(replace(settings, api_advertise_address=address)) == {}


def test_certificate_for_all_names_of_a_domain_is_taken(settings):
    serve(settings, make("leaf", ROOT, names=["*.lan"]))
    assert bad(replace(settings, api_advertise_address="provider.lan")) == {}
    assert CERTIFICATE in bad(replace(settings, api_advertise_address="a.provider.lan"))


def test_certificates_between_it_and_the_ca_stand_in_its_file(settings):
    middle = make("middle", ROOT, ca=True)
    leaf = make("leaf", middle, names=[ADDRESS])
    serve(settings, leaf)
    assert "an agent would refuse" in bad(settings)[CA]
    settings.tls_cert_file.write_bytes(leaf.pem + middle.pem)
    assert bad(settings) == {}
    assert load_files(settings, now()).certificate.encode() == leaf.pem + middle.pem


def test_all_that_is_wrong_is_told_together(settings):
    expired = make("leaf", ROOT, names=["192.0.2.8"], begins=now() - timedelta(days=9), life=timedelta(days=8))
    settings.tls_cert_file.write_bytes(expired.pem)
    settings.tls_ca_cert_file.unlink()
    found = list(check_files(settings, now()))
    assert [option for option, _ in found] == [CA, CERTIFICATE, CERTIFICATE, KEY]
    words = " ".join(words for _, words in found)
    for part in ("cannot be read, No such file", "has expired at", f"is not for {ADDRESS}", "is not the key of"):
        assert part in words


def test_certificate_of_the_future_is_refused(settings):
    serve(settings, make("leaf", ROOT, names=[ADDRESS], begins=now() + timedelta(days=1)))
    assert "valid only from" in bad(settings)[CERTIFICATE]


def test_certificate_without_names_is_refused(settings):
    serve(settings, make(ADDRESS, ROOT))
    assert f"is not for {ADDRESS}" in bad(settings)[CERTIFICATE]


def test_ca_that_has_not_signed_it_is_refused(settings):
    settings.tls_ca_cert_file.write_bytes(make("stranger", ca=True).pem)
    assert "unable to get local issuer certificate" in bad(settings)[CA]


def test_certificate_that_is_no_ca_cannot_sign(settings):
    other = make("other", ROOT, names=["x"])
    serve(settings, make("leaf", other, names=[ADDRESS]))
    settings.tls_cert_file.write_bytes(settings.tls_cert_file.read_bytes() + other.pem)
    assert "an agent would refuse" in bad(settings)[CA]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no PEM private key"),
        (b"\xff\xfe", "no PEM private key"),
        (LEAF.pem, "no PEM private key"),
        (LEAF.key_pem(b"password"), "with a password"),
    ],
)
def test_key_that_cannot_be_read_is_refused(settings, content, words):
    settings.tls_key_file.write_bytes(content)
    assert words in bad(settings)[KEY]


def test_certificate_that_cannot_be_read_is_refused(settings):
    settings.tls_cert_file.write_bytes(LEAF.key_pem())
    assert "no PEM certificate" in bad(settings)[CERTIFICATE]


def test_certificate_signed_by_itself_needs_to_be_trusted_or_not_verified(settings):
    alone = make("alone", names=[ADDRESS])
    serve(settings, alone)
    without_ca = replace(settings, tls_ca_cert_file=None)
    assert "signed by itself" in bad(without_ca)[CERTIFICATE]
    assert bad(replace(without_ca, tls_agent_skip_verify=True)) == {}
    settings.tls_ca_cert_file.write_bytes(alone.pem)
    assert bad(settings) == {}


def test_certificate_of_an_authority_that_agents_know_needs_no_ca_file(settings):
    assert bad(replace(settings, tls_ca_cert_file=None)) == {}


def test_files_are_not_looked_at_without_tls(settings):
    settings.tls_cert_file.unlink()
    assert bad(replace(settings, tls_enabled=False)) == {}


def test_words_do_not_quote_the_key(settings):
    settings.tls_key_file.write_bytes(b"the-secret-itself")
    with pytest.raises(FilesBad) as caught:
        load_files(settings, now())
    assert "secret" not in str(caught.value)


def test_trial_takes_what_it_should():
    shake_hands(LEAF.pem.decode(), LEAF.key, ROOT.pem.decode())

"""Which certificate is shown, and what is told of those that cannot be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import redis

from app.front import certificates as module
from app.front.certificates import FromAuthority, FromFiles, certificates_of
from app.tls.authority import Authority, make_authority
from config.settings import Settings
from tests.unit.tls.certificates import make

DAY_S = 86_400.0
ROOT = make("root", ca=True)


class Source:
    def __init__(self):
        self.known = make_authority(DAY_S, datetime.now(UTC))

    def authority(self):
        if isinstance(self.known, Exception):
            raise self.known
        return self.known


@pytest.fixture
def source():
    return Source()


def of_authority(source, **settings):
    return FromAuthority(Settings(tls_enabled=True, api_advertise_address="192.0.2.7", **settings), source)


@pytest.fixture
def files(tmp_path):
    certificate, key = make("leaf", ROOT, names=["192.0.2.7"]).write(tmp_path, "leaf")
    settings = Settings(
        tls_enabled=True, api_advertise_address="192.0.2.7", tls_cert_file=certificate, tls_key_file=key
    )
    return FromFiles(settings), tmp_path


def test_settings_choose_between_authority_and_files(source):
    assert isinstance(certificates_of(Settings(tls_enabled=True), source), FromAuthority)
    assert isinstance(certificates_of(Settings(tls_enabled=True, tls_cert_file="/c"), source), FromFiles)


def test_certificate_stays_until_it_is_due(source):
    certificates = of_authority(source)
    certificates.look()
    first = certificates.context
    certificates.look()
    assert first is certificates.context is not None
    assert certificates.trouble == ""


def test_authority_that_is_not_known_or_not_reached_is_waited_for(source):
    good, source.known = source.known, None
    certificates = of_authority(source)
    certificates.look()
    assert certificates.context is None
    assert "the watcher has not yet read" in certificates.trouble
    source.known = redis.ConnectionError("away")
    certificates.look()
    assert certificates.context is None
    source.known = good
    certificates.look()
    assert certificates.context is not None
    assert certificates.trouble == ""


def test_renewal_goes_on_while_redis_is_away(source):
    certificates = of_authority(source, tls_cert_ttl_s=10.0)
    certificates.look()
    first, source.known = certificates.context, redis.ConnectionError("away")
    certificates._leaf = replace(certificates._leaf, expires=datetime.now(UTC))
    certificates.look()
    assert certificates.context is not first


def test_authority_that_cannot_sign_leaves_the_certificate_of_before(source):
    certificates = of_authority(source)
    certificates.look()
    first, good = certificates.context, source.known
    source.known = Authority("nonsense", "")
    certificates.look()
    assert certificates.context is first
    assert "no PEM certificate" in certificates.trouble
    source.known = good
    certificates.look()
    assert certificates.context is first
    assert certificates.trouble == ""


def test_complaint_is_not_repeated_at_each_look(source, capsys):
    source.known = None
    certificates = of_authority(source)
    for _ in range(5):
        certificates.look()
    found = capsys.readouterr()
    assert (found.out + found.err).count("waiting_for_authority") == 1


def test_files_are_read_once(files, monkeypatch):
    certificates, _ = files
    read = []
    load = module.load_files
    monkeypatch.setattr(module, "load_files", lambda *given: read.append(given) or load(*given))
    for _ in range(3):
        certificates.look()
    assert len(read) == 1
    assert certificates.context is not None


def test_half_of_a_change_is_told_and_the_whole_is_shown(files):
    certificates, folder = files
    certificates.look()
    first = certificates.context
    newer = make("leaf", ROOT, names=["192.0.2.7"])
    (folder / "leaf.crt").write_bytes(newer.pem)
    certificates.look()
    assert certificates.context is first
    assert "is not the key of the certificate" in certificates.trouble
    (folder / "leaf.key").write_bytes(newer.key_pem())
    certificates.look()
    assert certificates.context is not first
    assert certificates.trouble == ""


def test_files_that_vanish_leave_the_certificate_of_before(files):
    certificates, folder = files
    certificates.look()
    (folder / "leaf.key").unlink()
    certificates.look()
    assert certificates.context is not None
    assert "cannot be read" in certificates.trouble


def test_certificate_near_its_end_is_told(files):
    certificates, folder = files
    begun = datetime.now(UTC) - timedelta(days=29)
    make("leaf", ROOT, names=["192.0.2.7"], begins=begun).write(folder, "leaf")
    certificates.look()
    assert "put a newer one there" in certificates.trouble
    assert certificates.context is not None
    make("leaf", ROOT, names=["192.0.2.7"]).write(folder, "leaf")
    certificates.look()
    assert certificates.trouble == ""

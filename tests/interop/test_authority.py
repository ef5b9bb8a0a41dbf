"""Our certificate authority is one that Go's library for them reads, and the one that it makes is one for us."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
from cryptography import x509

from app.omni.client import Omni
from app.omni.kinds import Kind
from app.state.mirror import Mirror
from app.state.secrets import Sealer
from app.tls.authority import Authority, make_authority, open_authority
from app.tls.leaf import issue
from app.watcher.authority import ID, AuthorityKeeper
from config.settings import Settings
from protos.gen.provider.records_pb2 import TLSConfigSpec
from tests.interop.go_omni import PROVIDER
from tests.interop.go_programs import ProgramError

pytestmark = pytest.mark.interop

THIRTY_YEARS_S = 262_800 * 3600.0
DAY_S = 86_400.0
ADDRESSES = ("192.0.2.7", "2001:db8::7", "provider.example")


@pytest.fixture(scope="module")
def library(start):
    with start("authority") as running:
        yield running


@pytest.fixture(scope="module")
def theirs(library):
    made = library.ask("make")
    return Authority(made["ca_cert"], made["ca_key"])


@pytest.fixture(scope="module")
def ours():
    return make_authority(THIRTY_YEARS_S, datetime.now(UTC))


def keeper(server, omni):
    settings = Settings(omni_api_endpoint=server.endpoint, id=PROVIDER, tls_enabled=True)
    mirror = Mirror(fakeredis.FakeRedis(), Sealer(b"k" * 32))
    return AuthorityKeeper(settings, omni, mirror), mirror


def test_ours_is_read_by_the_library_and_like_its_own(library, ours, theirs):
    facts = [library.ask("read", ca_cert=one.certificate, ca_key=one.key) for one in (ours, theirs)]
    for fact in facts:
        assert 10_945 <= fact.pop("days") <= 10_958
    assert facts[0] == facts[1]
    assert facts[0] == {
        "organization": ["siderolabs"],
        "algorithm": "Ed25519",
        "key": "ed25519.PrivateKey",
        "is_ca": True,
    }
    assert ours.key.splitlines()[0] == theirs.key.splitlines()[0]


def test_key_that_is_none_is_refused_by_the_library(library, ours):
    with pytest.raises(ProgramError):
        library.ask("read", ca_cert=ours.certificate, ca_key=ours.key.replace("ED25519 ", "FUNNY "))


@pytest.mark.parametrize("address", ADDRESSES)
def test_library_issues_with_ours_what_a_client_of_go_trusts(library, ours, address):
    leaf = library.ask("issue", ca_cert=ours.certificate, ca_key=ours.key, address=address)
    library.ask("verify", ca_cert=ours.certificate, certificate=leaf, address=address)
    certificate, _ = open_authority(ours, datetime.now(UTC))
    x509.load_pem_x509_certificate(leaf.encode()).verify_directly_issued_by(certificate)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_we_issue_with_either_what_a_client_of_go_trusts(library, ours, theirs, whose, address):
    authority = {"ours": ours, "theirs": theirs}[whose]
    leaf = issue(authority, PROVIDER, address, DAY_S, datetime.now(UTC)).certificate
    library.ask("verify", ca_cert=authority.certificate, certificate=leaf, address=address)
    with pytest.raises(ProgramError, match="x509: certificate is"):
        library.ask("verify", ca_cert=authority.certificate, certificate=leaf, address="other.example")
    other = make_authority(DAY_S, datetime.now(UTC)).certificate
    with pytest.raises(ProgramError, match="unknown authority"):
        library.ask("verify", ca_cert=other, certificate=leaf, address=address)


def test_certificate_that_has_expired_is_not_trusted_by_go(library, ours):
    leaf = issue(ours, PROVIDER, "192.0.2.7", 300, datetime.now(UTC) - timedelta(hours=1)).certificate
    with pytest.raises(ProgramError, match="expired"):
        library.ask("verify", ca_cert=ours.certificate, certificate=leaf, address="192.0.2.7")


def test_authority_that_the_go_provider_left_in_omni_is_taken_as_it_is(server, theirs):
    server.create(Kind.TLS_CONFIG, ID, TLSConfigSpec(ca_cert=theirs.certificate, ca_key=theirs.key))
    with Omni(server.endpoint, PROVIDER) as omni:
        keeping, mirror = keeper(server, omni)
        keeping.refresh()
    assert keeping.problem == ""
    assert mirror.authority() == theirs
    assert server.get(Kind.TLS_CONFIG, ID).metadata.version == "1"


def test_authority_that_several_make_at_once_is_one_and_the_library_reads_it_from_omni(server, library):
    with Omni(server.endpoint, PROVIDER) as omni, ThreadPoolExecutor(8) as pool:
        keepers = [keeper(server, omni) for _ in range(8)]
        list(pool.map(lambda pair: pair[0].refresh(), keepers))
        known = {mirror.authority() for _, mirror in keepers}
    assert len(known) == 1
    spec = TLSConfigSpec.FromString(server.get(Kind.TLS_CONFIG, ID).spec.proto_spec)
    assert known == {Authority(spec.ca_cert, spec.ca_key)}
    assert library.ask("read", ca_cert=spec.ca_cert, ca_key=spec.ca_key)["is_ca"]

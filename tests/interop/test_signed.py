"""Service accounts and signatures, with the library that Omni and `omnictl` have for them."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.omni.account import load_account
from app.omni.client import Omni
from app.omni.errors import NotAuthenticated
from app.omni.kinds import Kind
from app.omni.watch import Bootstrap, Changed
from lab.omni.keys import Encoding, make_key
from tests.interop.go_omni import PROVIDER
from tests.interop.go_programs import ProgramError

pytestmark = pytest.mark.interop

NAME = f"infra-provider:{PROVIDER}"
YEAR_S = 8760 * 3600
WIPE = Kind.WIPE_STATUS


@pytest.fixture
def theirs(server):
    """An account as `omnictl` makes it. From now on the server answers signed calls alone."""
    return server.program.ask("account", name=NAME, email=f"{PROVIDER}@example.org", life_s=YEAR_S)


def connect(server, signer):
    return Omni(server.endpoint, PROVIDER, signer=signer)


def refused(server, signer):
    """For which reason the server refuses a call, by its own log."""
    with connect(server, signer) as omni, pytest.raises(NotAuthenticated):
        omni.get(WIPE, "m")
    return server.program.ask("refusals")[-1]


def test_key_of_the_library_is_read_as_what_it_is(theirs):
    account = load_account(theirs["variable"])
    assert account.fingerprint == theirs["fingerprint"]
    assert account.identity == f"{PROVIDER}@infra-provider.serviceaccount.omni.sidero.dev"
    assert abs(account.created_at.timestamp() - time.time()) < 60
    assert account.expires_at.timestamp() == account.created_at.timestamp() + YEAR_S


@pytest.mark.parametrize("encoding", Encoding, ids=lambda encoding: encoding.name.lower())
def test_key_of_the_lab_is_one_that_the_library_takes(server, encoding):
    ours = make_key(PROVIDER, encoding=encoding)
    told = server.program.ask("trust", variable=ours.variable)
    assert (told["name"], told["fingerprint"]) == (NAME, ours.fingerprint)
    with connect(server, load_account(ours.variable).sign) as omni:
        assert omni.list(WIPE) == []


def test_key_that_has_expired_is_refused_by_the_library(server):
    old = make_key(PROVIDER, created_s=int(time.time()) - 7200, life_s=3600)
    with pytest.raises(ProgramError, match="expired"):
        server.program.ask("trust", variable=old.variable)


def test_unary_calls_lists_and_watches_are_signed_each_for_itself(server, theirs):
    with connect(server, load_account(theirs["variable"]).sign) as omni:
        made = omni.create(WIPE, "m")
        assert omni.list(WIPE) == [made]
        for _ in range(2):
            with omni.watch(WIPE) as watch:
                assert next(watch) == Bootstrap((omni.get(WIPE, "m"),))
                made = omni.update(WIPE, "m", lambda draft: draft.labels.update({str(time.time()): ""}))
                assert next(watch) == Changed(made)
        omni.remove(WIPE, "m")
    assert not server.program.ask("refusals")


def test_thousand_signatures_are_all_good(server, theirs):
    # Among them are those whose numbers begin with zeros, one in 128.
    account = load_account(theirs["variable"])
    with connect(server, account.sign) as omni, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: omni.get(WIPE, "m"), range(1000)))
    assert not server.program.ask("refusals")


@pytest.mark.parametrize("off_s", [-290, 290])
def test_clock_that_is_off_by_less_than_five_minutes_is_fine(server, off_s):
    ours = make_key(PROVIDER, created_s=int(time.time()) - 3600)
    server.program.ask("trust", variable=ours.variable)
    account = load_account(ours.variable)
    with connect(server, lambda method: account.sign(method, time.time() + off_s)) as omni:
        assert omni.get(WIPE, "m") is None


@pytest.mark.parametrize("off_s", [-310, 310])
def test_clock_that_is_off_by_more_is_refused(server, off_s):
    ours = make_key(PROVIDER, created_s=int(time.time()) - 3600)
    server.program.ask("trust", variable=ours.variable)
    account = load_account(ours.variable)
    reason = refused(server, lambda method: account.sign(method, time.time() + off_s))
    assert "timestamp is outside of allowed skew" in reason


def test_clock_that_lags_behind_a_new_key_is_fine(server, theirs):
    account = load_account(theirs["variable"])
    with connect(server, lambda method: account.sign(method, time.time() - 120)) as omni:
        assert omni.get(WIPE, "m") is None


def test_call_without_a_signature_is_refused(server, theirs):
    assert refused(server, None) == "invalid signature"


def test_signature_for_another_method_is_refused(server, theirs):
    account = load_account(theirs["variable"])
    assert "method does not match" in refused(server, lambda _: account.sign("/cosi.resource.State/Create"))


def test_header_that_is_not_in_the_payload_is_refused_if_it_is_one_of_the_ten(server, theirs):
    account = load_account(theirs["variable"])
    assert "payload header does not match" in refused(server, lambda m: (*account.sign(m), ("namespace", "x")))
    with connect(server, lambda method: (*account.sign(method), ("x-test", "x"))) as omni:
        assert omni.get(WIPE, "m") is None


def test_payload_that_was_changed_is_refused(server, theirs):
    account = load_account(theirs["variable"])

    def changed(method):
        (time_name, now), (payload_name, payload), signature = account.sign(method)
        return (time_name, now), (payload_name, payload.replace("{", "{ ", 1)), signature

    assert "signature" in refused(server, changed).lower()


def test_key_that_omni_does_not_know_any_more_is_refused(server, theirs):
    account = load_account(theirs["variable"])
    with connect(server, account.sign) as omni:
        omni.get(WIPE, "m")
        server.program.ask("revoke")
        with pytest.raises(NotAuthenticated):
            omni.get(WIPE, "m")
        with omni.watch(WIPE) as watch, pytest.raises(NotAuthenticated):
            next(watch)
    assert server.program.ask("refusals") == ["no such key"] * 2


def test_renewed_key_works_beside_the_old_one(server, theirs):
    renewed = server.program.ask("account", name=NAME, email=f"{PROVIDER}@example.org", life_s=YEAR_S)
    for variable in (theirs["variable"], renewed["variable"]):
        with connect(server, load_account(variable).sign) as omni:
            assert omni.get(WIPE, "m") is None

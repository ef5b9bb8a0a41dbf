"""Keys and signatures against the OpenPGP library of Omni and its tools."""

import base64
import json
import time

import pytest

from app.omni.account import KeyInvalid, read_account
from app.omni.signature import detached
from lab.omni.keys import Encoding, make_key
from tests.interop.go_programs import ProgramError

pytestmark = pytest.mark.interop

DATA = b'{"headers":{},"method":"/cosi.resource.State/Get"}'
EMAIL = "bm@infra-provider.serviceaccount.omni.sidero.dev"
# Algorithm and whether it is of version 6; the first is what `omnictl` makes.
ENCODINGS = [(22, False), (27, False), (27, True)]


@pytest.fixture(scope="module")
def pgp(start):
    with start("pgp") as running:
        yield running


def _account(armored):
    content = json.dumps({"name": "infra-provider:bm", "pgp_key": armored})
    return read_account(base64.b64encode(content.encode()).decode())


def _make(pgp, algorithm, version6):
    return pgp.ask("make", algorithm=algorithm, version6=version6, name="bm", email=EMAIL, life_s=3600)


@pytest.mark.parametrize(("algorithm", "version6"), ENCODINGS)
def test_key_of_the_library_is_read_and_its_signature_verified(pgp, algorithm, version6):
    theirs = _make(pgp, algorithm, version6)
    account = _account(theirs["armored"])
    assert account.fingerprint == theirs["fingerprint"]
    assert account.expires_at.timestamp() == theirs["expires_s"]
    assert account.key.user_id == f"bm <{EMAIL}>"
    signature = detached(account.key, DATA, int(time.time()))
    asked = {"armored": theirs["armored"], "signature": signature}
    assert pgp.ask("verify", data=DATA, **asked) == theirs["fingerprint"]
    with pytest.raises(ProgramError, match="invalid signature"):
        pgp.ask("verify", data=DATA + b" ", **asked)


@pytest.mark.parametrize("encoding", Encoding)
def test_key_of_the_lab_is_one_for_the_library(pgp, encoding):
    ours = make_key("bm", encoding=encoding, created_s=int(time.time()) - 10)
    signature = detached(read_account(ours.variable).key, DATA, int(time.time()))
    assert pgp.ask("verify", armored=ours.armored, data=DATA, signature=signature) == ours.fingerprint


def test_key_of_another_algorithm_is_refused_in_words(pgp):
    theirs = _make(pgp, 1, version6=False)
    with pytest.raises(KeyInvalid, match=r"wrong algorithm \(RSA, number 1\)"):
        _account(theirs["armored"])

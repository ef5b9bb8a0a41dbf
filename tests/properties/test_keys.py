"""Whatever stands in OMNI_SERVICE_ACCOUNT_KEY: it is read, or refused in words that hold nothing of it."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from app.omni.account import KeyInvalid, load_account, read_account
from app.omni.armor import unarmor
from app.omni.signature import detached
from lab.omni.keys import Encoding, armor, make_key
from lab.omni.signatures import Signatures

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {encoding: make_key("bm", created_s=1_700_000_000, encoding=encoding, private=PRIVATE) for encoding in Encoding}
METHOD = "/cosi.resource.State/Get"


def _variable(armored):
    content = json.dumps({"name": "infra-provider:bm", "pgp_key": armored})
    return base64.b64encode(content.encode()).decode()


def _said(variable):
    try:
        load_account(variable, 1_700_000_100)
    except KeyInvalid as error:
        return str(error)
    return ""


def _read_or_refused(variable):
    said = _said(variable)
    assert len(said) < 300
    assert PRIVATE.private_bytes_raw().hex() not in said


@given(st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
def test_any_text_is_read_or_refused(text):
    _read_or_refused(text)


@given(st.text() | st.binary().map(armor))
def test_any_key_in_right_json_is_read_or_refused(armored):
    _read_or_refused(_variable(armored))


@pytest.mark.parametrize("encoding", Encoding)
@given(data=st.data())
def test_key_with_any_damage_is_read_or_refused(encoding, data):
    _, packets = unarmor(KEYS[encoding].armored)
    at = data.draw(st.integers(0, len(packets) - 1))
    cut = data.draw(st.integers(0, 4))
    damaged = packets[:at] + data.draw(st.binary(max_size=4)) + packets[at + cut :]
    _read_or_refused(_variable(armor(damaged)))


@pytest.mark.parametrize("encoding", Encoding)
@given(
    at_s=st.integers(0, 2**31),
    secret=st.binary(min_size=32, max_size=32) | st.binary(min_size=30, max_size=30).map(lambda rest: b"\0\0" + rest),
)
def test_call_is_signed_so_that_it_passes_the_strict_check(encoding, at_s, secret):
    created_s = 1_700_000_000
    key = make_key("bm", created_s=created_s, encoding=encoding, private=Ed25519PrivateKey.from_private_bytes(secret))
    now_s = created_s + at_s % (key.expires_s - created_s)
    signatures = Signatures(key, clock=lambda: now_s)
    headers = {name: [value] for name, value in read_account(key.variable).sign(METHOD, now_s)}
    assert signatures.accepts(METHOD, headers), signatures.refusals


@given(st.binary(), st.integers(1_700_000_000, 2**32 - 1))
def test_signature_is_never_longer_than_its_header_may_be(data, now_s):
    assert len(detached(read_account(KEYS[Encoding.LEGACY].variable).key, data, now_s)) <= 119

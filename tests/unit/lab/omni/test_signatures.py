"""The stand-in's check of signatures: as strict as Omni's."""

import base64
import json

import pytest

from app.omni.account import read_account
from app.omni.signature import detached
from lab.omni.keys import Encoding, make_key
from lab.omni.signatures import Signatures

METHOD = "/cosi.resource.State/Get"
NOW_S = 1_800_000_000
TIMESTAMP, PAYLOAD, SIGNATURE = "x-sidero-timestamp", "x-sidero-payload", "x-sidero-signature"


@pytest.fixture(scope="module")
def key():
    return make_key("bm", created_s=NOW_S - 10_000)


@pytest.fixture
def signatures(key):
    return Signatures(key, clock=lambda: NOW_S)


def _metadata(key, now_s=NOW_S, method=METHOD):
    return {name: [value] for name, value in read_account(key.variable).sign(method, now_s)}


def _signed(key, payload, now_s=NOW_S, signed_s=NOW_S):
    """Headers of a payload that is not as ours."""
    account = read_account(key.variable)
    signature = base64.b64encode(detached(account.key, payload.encode(), signed_s)).decode()
    return {
        TIMESTAMP: [str(now_s)],
        PAYLOAD: [payload],
        SIGNATURE: [f"siderov1 {account.identity} {account.fingerprint} {signature}"],
    }


def _payload(**more):
    return json.dumps({"headers": {TIMESTAMP: [str(NOW_S)], **more}, "method": METHOD})


def _refused(signatures, metadata, why, method=METHOD):
    assert not signatures.accepts(method, metadata)
    assert why in signatures.refusals[-1]


@pytest.mark.parametrize("encoding", Encoding)
def test_call_that_is_signed_is_let_through(encoding):
    key = make_key("bm", created_s=NOW_S - 10, encoding=encoding)
    signatures = Signatures(key, clock=lambda: NOW_S)
    assert signatures.accepts(METHOD, _metadata(key)), signatures.refusals


def test_same_headers_may_be_used_again(signatures, key):
    metadata = _metadata(key)
    assert signatures.accepts(METHOD, metadata)
    assert signatures.accepts(METHOD, metadata)


@pytest.mark.parametrize("off_s", [-300, -1, 300])
def test_clock_may_be_five_minutes_off(signatures, key, off_s):
    assert signatures.accepts(METHOD, _metadata(key, NOW_S + off_s))


@pytest.mark.parametrize("off_s", [-301, 301])
def test_clock_that_is_more_than_five_minutes_off_is_refused(signatures, key, off_s):
    _refused(signatures, _metadata(key, NOW_S + off_s), "the timestamp is 301 s off")


def test_time_of_the_signature_counts_as_well(signatures, key):
    _refused(signatures, _signed(key, _payload(), signed_s=NOW_S + 301), "the signature is 301 s off")


def test_call_without_headers_is_refused(signatures, key):
    _refused(signatures, {}, "0 headers x-sidero-payload")
    for name in (TIMESTAMP, PAYLOAD, SIGNATURE):
        _refused(signatures, {k: v for k, v in _metadata(key).items() if k != name}, f"0 headers {name}")
        _refused(signatures, _metadata(key) | {name: _metadata(key)[name] * 2}, f"2 headers {name}")


def test_other_method_than_the_signed_one_is_refused(signatures, key):
    other = "/cosi.resource.State/Destroy"
    _refused(signatures, _metadata(key), "signed for /cosi.resource.State/Get", other)


def test_changed_payload_and_changed_time_are_refused(signatures, key):
    metadata = _metadata(key)
    _refused(signatures, metadata | {PAYLOAD: [metadata[PAYLOAD][0] + " "]}, "the signature does not fit")
    _refused(signatures, metadata | {TIMESTAMP: [str(NOW_S + 1)]}, "the header x-sidero-timestamp is not the one")
    _refused(signatures, metadata | {TIMESTAMP: ["soon"]}, "the timestamp is no number")


def test_header_of_the_ten_that_was_not_signed_is_refused_and_any_other_passes(signatures, key):
    _refused(signatures, _metadata(key) | {"runtime": ["Omni"]}, "the header runtime is not the one")
    assert signatures.accepts(METHOD, _metadata(key) | {"user-agent": ["me"]})


def test_signed_headers_may_be_absent_or_null_but_not_empty(signatures, key):
    assert signatures.accepts(METHOD, _signed(key, _payload(nodes=None)))
    assert signatures.accepts(METHOD, _signed(key, _payload(nodes=["a", "b"])) | {"nodes": ["a", "b"]})
    _refused(signatures, _signed(key, _payload(nodes=[])), "the header nodes is not the one")


def test_key_that_is_not_known_or_no_more_is_refused(signatures, key):
    stranger = make_key("bm", created_s=NOW_S - 10)
    _refused(signatures, _metadata(stranger), "no such key")
    signatures.add(stranger)
    assert signatures.accepts(METHOD, _metadata(stranger))
    signatures.forget(key)
    _refused(signatures, _metadata(key), "no such key")


def test_key_of_another_in_the_header_is_refused(signatures, key):
    stranger = make_key("bm", created_s=NOW_S - 10)
    header = _metadata(stranger)[SIGNATURE][0].replace(stranger.fingerprint, key.fingerprint)
    _refused(signatures, _metadata(stranger) | {SIGNATURE: [header]}, "signed by another key")


def test_key_that_is_too_young_or_has_expired_is_refused(signatures):
    young = make_key("bm", created_s=NOW_S + 10)
    signatures.add(young)
    metadata = _signed(young, _payload())
    _refused(signatures, metadata, "no valid self signature found")
    old = make_key("bm", created_s=NOW_S - 100, life_s=50)
    signatures.add(old)
    _refused(signatures, _metadata(old), "the key has expired")


def test_what_is_no_signature_is_refused(signatures, key):
    *parts, _ = _metadata(key)[SIGNATURE][0].split(" ")
    for text in ("?", "", base64.b64encode(b"\xc2\x01\x04").decode(), base64.b64encode(b"\xcd\x01x").decode()):
        _refused(signatures, _metadata(key) | {SIGNATURE: [" ".join([*parts, text])]}, "no signature packet")
    _refused(signatures, _metadata(key) | {SIGNATURE: ["siderov1 a b"]}, "not four parts")


def test_payload_that_is_not_json_is_refused(signatures, key):
    _refused(signatures, _signed(key, "payload"), "not JSON of headers and method")
    _refused(signatures, _signed(key, "[]"), "not JSON of headers and method")

"""Signed headers and the packet in them, checked by another implementation of OpenPGP."""

import base64
import json
import time

import pysequoia
import pytest

from app.omni.account import load_account, read_account
from app.omni.packets import SIGNATURE, Fields, packets
from app.omni.signature import detached
from lab.omni.keys import Encoding, make_key

METHOD = "/cosi.resource.State/Get"


@pytest.fixture(scope="module", params=Encoding)
def key(request):
    return make_key("bare-metal", encoding=request.param)


def _headers(key, now_s):
    return load_account(key.variable).sign(METHOD, now_s)


def _verified(key, signature, data):
    """What another program makes of it. Raises RuntimeError."""
    public = pysequoia.Tsk.from_bytes(key.armored.encode()).extract_certificate()
    return pysequoia.verify(bytes=data, store=lambda _: [public], signature=pysequoia.Sig.from_bytes(signature))


def test_another_program_verifies_the_signature_of_the_payload(key):
    headers = dict(_headers(key, time.time()))
    version, identity, fingerprint, signature = headers["x-sidero-signature"].split(" ")
    assert version == "siderov1"
    assert identity == "bare-metal@infra-provider.serviceaccount.omni.sidero.dev"
    assert fingerprint == key.fingerprint
    verified = _verified(key, base64.b64decode(signature, validate=True), headers["x-sidero-payload"].encode())
    assert [found.certificate for found in verified.valid_sigs] == [key.fingerprint]


def test_another_program_refuses_what_was_changed(key):
    headers = dict(_headers(key, time.time()))
    signature = base64.b64decode(headers["x-sidero-signature"].split(" ")[3])
    with pytest.raises(RuntimeError, match="no valid signatures"):
        _verified(key, signature, headers["x-sidero-payload"].replace("Get", "Set").encode())


def test_another_program_refuses_the_signature_of_another_key(key):
    headers = dict(_headers(make_key("bare-metal"), time.time()))
    signature = base64.b64decode(headers["x-sidero-signature"].split(" ")[3])
    with pytest.raises(RuntimeError, match="no valid signatures"):
        _verified(key, signature, headers["x-sidero-payload"].encode())


def test_signature_with_numbers_that_begin_with_zeroes_is_shorter_and_verifies():
    key = make_key("bm", created_s=int(time.time()) - 10_000)
    account = read_account(key.variable)
    begin_s = int(time.time()) - 5_000
    made = (detached(account.key, b"data", begin_s + i) for i in range(5_000))
    short = next(signature for signature in made if len(signature) < 119)
    assert _verified(key, short, b"data").valid_sigs


def test_headers_are_time_payload_and_signature_and_no_more(key):
    now_s = key.created_s + 1.75
    headers = dict(_headers(key, now_s))
    assert list(headers) == ["x-sidero-timestamp", "x-sidero-payload", "x-sidero-signature"]
    assert headers["x-sidero-timestamp"] == str(key.created_s + 1)
    assert json.loads(headers["x-sidero-payload"]) == {
        "headers": {"x-sidero-timestamp": [str(key.created_s + 1)]},
        "method": METHOD,
    }
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_packet_is_laid_out_as_omni_has_it():
    key = make_key("bm")
    (found,) = packets(detached(read_account(key.variable).key, b"data", key.created_s + 1))
    fields = Fields(found.body)
    assert found.tag == SIGNATURE
    assert fields.take(4) == bytes([4, 0x00, 22, 8])
    hashed = fields.take(fields.number(2))
    assert hashed == (
        b"\x05\x02" + (key.created_s + 1).to_bytes(4, "big") + b"\x16\x21\x04" + bytes.fromhex(key.fingerprint)
    )
    assert fields.take(fields.number(2)) == b"\x09\x10" + bytes.fromhex(key.fingerprint)[-8:]
    fields.take(2)
    assert 30 <= len(fields.mpi()) <= 32
    assert 30 <= len(fields.mpi()) <= 32
    assert fields.rest == 0


def test_each_call_is_signed_anew_with_its_method_and_time():
    account = read_account(make_key("bm").variable)
    now_s = account.key.created_s + 10
    signed = {
        account.sign(method, at_s)
        for method in ("/cosi.resource.State/Get", "/cosi.resource.State/Watch")
        for at_s in (now_s, now_s + 1)
    }
    assert len({dict(headers)["x-sidero-signature"] for headers in signed}) == 4

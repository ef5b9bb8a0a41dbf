"""The tokens and the join configuration of the stand-in Omni."""

import base64
import hashlib
import hmac
import json
from urllib.parse import unquote

import pytest
import yaml

from app.omni.kinds import Kind
from lab.omni.joining import PARAMS_ID, token_v2
from lab.omni.server import StandInOmni


def token_of(omni):
    link = next(yaml.safe_load_all(omni.get(Kind.PROVIDER_JOIN_CONFIG, "bm").spec.config.config))
    return unquote(link["apiUrl"].partition("?jointoken=")[2])


def signed(version, key, provider_id):
    message = b'{"omni.sidero.dev/infra-provider-id":"%s"}' % provider_id
    signature = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest())
    return version + base64.b64encode(b'{"extra_data":' + message + b',"signature":"' + signature + b'"}').decode()


def test_token_is_built_as_omni_builds_it():
    assert token_v2("key", "bm") == signed("v2:", b"key", b"bm")


def test_configuration_and_arguments_hold_a_token_that_lets_in():
    omni = StandInOmni("bm")
    token = token_of(omni)
    assert omni.joining.lets_in(token)
    spec = omni.get(Kind.PROVIDER_JOIN_CONFIG, "bm").spec
    assert unquote(spec.config.kernel_args[0]) == f"siderolink.api=grpc://127.0.0.1:8090?jointoken={token}"
    assert json.loads(base64.b64decode(token.removeprefix("v2:"))).keys() == {"extra_data", "signature"}


def test_token_of_before_a_rotation_does_not_let_in():
    omni = StandInOmni("bm")
    before = token_of(omni)
    omni.joining.rotate()
    assert not omni.joining.lets_in(before)
    assert omni.joining.lets_in(token_of(omni))


@pytest.mark.parametrize(
    "token",
    ["", "v2:", "v2:?", "plain", "v2:" + base64.b64encode(b"[]").decode(), "v2:" + base64.b64encode(b"{}").decode()],
)
def test_what_is_no_token_does_not_let_in(token):
    assert not StandInOmni("bm").joining.lets_in(token)


def test_token_of_another_version_key_or_provider_does_not_let_in():
    omni = StandInOmni("bm")
    key = omni.get(Kind.PROVIDER_JOIN_CONFIG, "bm").spec.join_token.encode()
    assert omni.joining.lets_in(signed("v2:", key, b"bm"))
    for token in (signed("v1:", key, b"bm"), signed("v2:", b"other", b"bm"), signed("v2:", key, b"other")):
        assert not omni.joining.lets_in(token)


def test_old_omni_has_only_connection_params_and_takes_tokens_of_version_1():
    omni = StandInOmni("bm", old=True)
    assert omni.get(Kind.PROVIDER_JOIN_CONFIG, "bm") is None
    assert omni.list(Kind.RESOURCE_DEFINITION) == []
    key = omni.get(Kind.CONNECTION_PARAMS, PARAMS_ID).spec.join_token.encode()
    assert omni.joining.lets_in(signed("v1:", key, b"bm"))
    assert not omni.joining.lets_in(signed("v2:", key, b"bm"))


def test_new_omni_has_the_type_and_connection_params_too():
    omni = StandInOmni("bm")
    assert omni.get(Kind.RESOURCE_DEFINITION, "providerjoinconfigs.omni.sidero.dev") is not None
    assert omni.get(Kind.CONNECTION_PARAMS, PARAMS_ID) is not None


def test_what_is_withdrawn_is_given_again():
    omni = StandInOmni("bm")
    omni.joining.withdraw()
    assert omni.get(Kind.PROVIDER_JOIN_CONFIG, "bm") is None
    assert not omni.joining.lets_in("v2:x")
    omni.joining.give()
    assert omni.joining.lets_in(token_of(omni))

"""How a machine joins an Omni without ProviderJoinConfig: three documents, and the provider's own token."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from app.boot.connection_params import ConnectionParams, ParamsUnusable, join_documents, provider_token

PARAMS = ConnectionParams("grpc://omni.test:8090", "the-join-token", 8091, 8092)
# Made with `printf %s MESSAGE | openssl dgst -sha256 -hmac the-join-token -binary | base64`.
SIGNED_BY_HAND = "c5KLk86CONQDeuiBdGOsjGh3oDHA59xXEol7TPDVZ04="


def documents(params=PARAMS):
    return list(yaml.safe_load_all(join_documents(params, "bare-metal")))


def test_token_is_the_providers_id_signed_with_the_plain_token():
    message = b'{"omni.sidero.dev/infra-provider-id":"bare-metal"}'
    signature = base64.b64encode(hmac.new(b"the-join-token", message, hashlib.sha256).digest())
    assert signature.decode() == SIGNED_BY_HAND
    inner = b'{"extra_data":' + message + b',"signature":"' + signature + b'"}'
    assert provider_token("the-join-token", "bare-metal") == "v1:" + base64.b64encode(inner).decode()


def test_token_keeps_its_padding_and_the_standard_alphabet():
    tokens = [provider_token("the-join-token", f"provider-{number}") for number in range(40)]
    signatures = [json.loads(base64.b64decode(t.removeprefix("v1:"), validate=True))["signature"] for t in tokens]
    assert all(len(base64.b64decode(s, validate=True)) == 32 and s.endswith("=") for s in signatures)
    assert any("+" in s or "/" in s for s in signatures)


@pytest.mark.parametrize("token", ["v1:abc=", "v2:abc", "v10:x"])
def test_token_with_a_version_is_used_as_it_is(token):
    assert provider_token(token, "bare-metal") == token


@pytest.mark.parametrize("token", ["v1", "vx:abc", "V1:abc", "x-v1:abc"])
def test_token_that_only_looks_like_one_with_a_version_is_signed(token):
    assert provider_token(token, "bare-metal").startswith("v1:ey")


def test_three_documents_are_made():
    text = join_documents(PARAMS, "bare-metal")
    assert text.count("\n---\n") == 2
    link, events, log = documents()
    assert link.keys() == {"apiVersion", "kind", "apiUrl"}
    assert (link["apiVersion"], link["kind"]) == ("v1alpha1", "SideroLinkConfig")
    assert events == {
        "apiVersion": "v1alpha1",
        "kind": "EventSinkConfig",
        "endpoint": "[fdae:41e4:649b:9303::1]:8091",
    }
    assert log == {
        "apiVersion": "v1alpha1",
        "kind": "KmsgLogConfig",
        "name": "omni-kmsg",
        "url": "tcp://[fdae:41e4:649b:9303::1]:8092",
    }


def test_token_stands_percent_encoded_and_alone_in_the_address():
    url = documents()[0]["apiUrl"]
    assert url.startswith("grpc://omni.test:8090?jointoken=v1%3A")
    assert urlsplit(url).query.count("=") == 1
    assert parse_qs(urlsplit(url).query) == {"jointoken": [provider_token("the-join-token", "bare-metal")]}


def test_query_that_the_address_has_is_kept_and_an_older_token_in_it_is_replaced():
    url = documents(replace(PARAMS, api_endpoint="https://omni.test/?a=b%20c&jointoken=old"))[0]["apiUrl"]
    assert url.startswith("https://omni.test/?a=b+c&jointoken=v1%3A")
    assert "old" not in url


@pytest.mark.parametrize(
    ("lacking", "said", "remedy"),
    [
        ({"api_endpoint": ""}, "no address of its machine API", "--machine-api-advertised-url"),
        ({"api_endpoint": "omni.test:8090"}, "no address of its machine API", "--machine-api-advertised-url"),
        ({"api_endpoint": "grpc://[broken"}, "no address of its machine API", "--machine-api-advertised-url"),
        ({"join_token": ""}, "no join token", "a join token"),
        ({"events_port": 0}, "no port for events", "--event-sink-port"),
        ({"logs_port": 0}, "no port for logs", "--log-server-port"),
        ({"logs_port": -1}, "no port for logs", "--log-server-port"),
        ({"events_port": 65_536}, "no port for events", "--event-sink-port"),
    ],
)
def test_what_machines_could_not_join_with_is_said_with_its_remedy(lacking, said, remedy):
    with pytest.raises(ParamsUnusable) as caught:
        join_documents(replace(PARAMS, **lacking), "bare-metal")
    assert str(caught.value) == f"Omni's ConnectionParams have {said}"
    assert remedy in caught.value.remedy
    assert "the-join-token" not in str(caught.value) + caught.value.remedy


def test_all_that_is_missing_is_said_at_once():
    with pytest.raises(ParamsUnusable, match="no port for events and no port for logs") as caught:
        join_documents(replace(PARAMS, events_port=0, logs_port=0), "bare-metal")
    assert caught.value.remedy == "Start Omni with --event-sink-port set, --log-server-port set."


def test_token_is_not_shown_with_the_params():
    assert "the-join-token" not in repr(PARAMS)

import pytest

from app.omni.channel import address_of
from app.omni.errors import EndpointInvalid


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://omni.example.org:8090", "omni.example.org:8090"),
        ("http://omni.example.org", "omni.example.org:80"),
        ("http://127.0.0.1:8090/", "127.0.0.1:8090"),
        ("grpc://omni", "omni:80"),
        ("http://[fd00::1]:8090", "[fd00::1]:8090"),
    ],
)
def test_plain_endpoint_gives_host_and_port(endpoint, address):
    assert address_of(endpoint) == address


def test_https_endpoint_is_refused_with_the_reason():
    with pytest.raises(EndpointInvalid, match="not in this version; use an http:// endpoint"):
        address_of("https://omni.example.org")


@pytest.mark.parametrize("endpoint", ["", "omni:8090", "ftp://omni", "http://", "http://omni:99999", "http://omni/api"])
def test_endpoint_that_is_none_is_refused_by_name(endpoint):
    with pytest.raises(EndpointInvalid, match="Omni endpoint"):
        address_of(endpoint)

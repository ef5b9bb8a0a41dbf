import pytest

from app.omni.endpoint import parse_endpoint
from app.omni.errors import EndpointInvalid


@pytest.mark.parametrize(
    ("endpoint", "address", "secure"),
    [
        ("http://omni.example.org:8090", "omni.example.org:8090", False),
        ("http://omni.example.org", "omni.example.org:80", False),
        ("http://127.0.0.1:8090/", "127.0.0.1:8090", False),
        ("grpc://omni", "omni:80", False),
        ("http://[fd00::1]:8090", "[fd00::1]:8090", False),
        ("https://omni.example.org", "omni.example.org:443", True),
        ("https://omni.example.org:8100/", "omni.example.org:8100", True),
    ],
)
def test_endpoint_gives_host_port_and_whether_it_is_tls(endpoint, address, secure):
    found = parse_endpoint(endpoint)
    assert (found.address, found.secure) == (address, secure)


@pytest.mark.parametrize(
    "endpoint",
    ["", "omni:8090", "ftp://omni", "http://", "https://", "http://omni:99999", "http://[::1", "http://omni/api"],
)
def test_endpoint_that_is_none_is_refused_by_name(endpoint):
    with pytest.raises(EndpointInvalid, match="Omni endpoint"):
        parse_endpoint(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "loopback"),
    [("http://127.0.0.1:1", True), ("http://localhost:1", True), ("http://[::1]:1", True), ("http://omni:1", False)],
)
def test_loopback_is_told(endpoint, loopback):
    assert parse_endpoint(endpoint).loopback is loopback

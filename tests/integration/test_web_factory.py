"""The question to the image factory over HTTP: what it sends, and what becomes of each kind of answer."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator

import pytest
import yaml

from app.boot.errors import FactoryRefused, FactoryUnavailable
from app.boot.schematic_request import SchematicRequest, schematic_yaml
from app.machine.boot import Schematic
from tests.integration.web_site import FactoryStub

pytestmark = pytest.mark.integration

BODY = schematic_yaml(Schematic(("console=tty0",), ("siderolabs/metal-agent",)))


@pytest.fixture
def factory() -> Iterator[FactoryStub]:
    stub = FactoryStub()
    yield stub
    stub.shutdown()
    stub.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_question_is_a_post_of_the_schematic_and_gives_its_id(factory: FactoryStub) -> None:
    assert SchematicRequest(f"{factory.url}/")(BODY) == hashlib.sha256(BODY).hexdigest()
    assert yaml.safe_load(factory.bodies[0]) == {
        "customization": {
            "extraKernelArgs": ["console=tty0"],
            "systemExtensions": {"officialExtensions": ["siderolabs/metal-agent"]},
        }
    }


def test_factory_that_quotes_the_machine_configuration_is_not_quoted(factory: FactoryStub) -> None:
    factory.status = 400
    factory.answer = b'bad argument "talos.config.inline=KLUv/QBYAQ+A==", the 2nd'
    with pytest.raises(FactoryRefused) as caught:
        SchematicRequest(factory.url)(BODY)
    assert "KLUv" not in str(caught.value)
    assert 'bad argument "talos.config.inline=[machine configuration]", the 2nd' in str(caught.value)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (400, b"official extension \x1b[31m siderolabs/none is not available", FactoryRefused),
        (404, b"not found", FactoryRefused),
        (301, b"moved", FactoryRefused),
        (429, b"slow down", FactoryUnavailable),
        (500, b"oops", FactoryUnavailable),
        (503, b"", FactoryUnavailable),
        (200, b"<html>a login page</html>", FactoryRefused),
        (201, b'{"id": "../../x"}', FactoryRefused),
        (201, b'{"id": 7}', FactoryRefused),
        (201, b"[]", FactoryRefused),
        (201, b"\xff\xfe", FactoryRefused),
        (201, b"x" * 200_000, FactoryRefused),
    ],
)
def test_other_answer_is_an_error_with_short_clean_words(
    factory: FactoryStub, status: int, answer: bytes, error: type[Exception]
) -> None:
    factory.status, factory.answer = status, answer
    with pytest.raises(error) as caught:
        SchematicRequest(factory.url)(BODY)
    words = str(caught.value)
    assert factory.url in words
    assert words.isprintable()
    assert len(words) < 500


def test_silent_factory_is_given_up_after_the_limit(factory: FactoryStub) -> None:
    factory.delay_s = 5
    began = time.monotonic()
    with pytest.raises(FactoryUnavailable, match="did not answer"):
        SchematicRequest(factory.url, timeout_s=0.3)(BODY)
    assert time.monotonic() - began < 2
    assert len(factory.bodies) == 1


def test_nobody_listening_is_unavailable_in_words(factory: FactoryStub) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(FactoryUnavailable, match="Connection refused") as caught:
        SchematicRequest(url)(BODY)
    assert "object at" not in str(caught.value)


def test_unknown_host_is_unavailable_in_words() -> None:
    with pytest.raises(FactoryUnavailable, match="did not answer") as caught:
        SchematicRequest("http://factory.invalid")(BODY)
    assert "object at" not in str(caught.value)


def test_proxy_of_the_environment_is_used(factory: FactoryStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", factory.url)
    with pytest.raises(FactoryRefused, match="404"):
        SchematicRequest("http://factory.invalid")(BODY)
    assert factory.bodies == [BODY]


def test_proxy_is_left_out_where_the_environment_says_so(factory: FactoryStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert SchematicRequest(factory.url)(BODY) == hashlib.sha256(BODY).hexdigest()

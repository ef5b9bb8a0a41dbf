"""One question for each content, however many boots ask, and none where the id is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from app.boot import factory as factory_module
from app.boot.errors import BootError, FactoryRefused, FactoryUnavailable
from app.boot.factory import ImageFactory
from app.boot.schematic_request import schematic_yaml
from app.boot.schematic_store import SchematicStore
from app.machine.boot import Schematic
from app.state.parts import FACTORY
from tests.unit.boot.fake_redis import FakeRedis

ID = "a" * 64
SCHEMATIC = Schematic(kernel_args=("console=tty0", "a=b"), extensions=("siderolabs/metal-agent",))


class Factory:
    """A stand-in for the factory: counts the questions, and fails or waits as it is told."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.error: BootError | None = None
        self.gate: threading.Event | None = None

    def __call__(self, body: bytes) -> str:
        self.bodies.append(body)
        if self.gate:
            assert self.gate.wait(5)
        if self.error:
            raise self.error
        return ID


def client(asks: Callable[[bytes], str], shared: FakeRedis, folder: Path, url: str = "http://factory") -> ImageFactory:
    store = SchematicStore(cast(Any, shared), folder / "schematics")
    return ImageFactory(url, store, ask=asks, locks=cast(Any, shared))


def test_second_boot_of_the_same_content_asks_nobody(tmp_path: Path) -> None:
    asked = Factory()
    images = client(asked, FakeRedis(), tmp_path)
    assert images.schematic_id(SCHEMATIC) == ID
    asked.error = FactoryUnavailable("down")
    assert images.schematic_id(Schematic(tuple(SCHEMATIC.kernel_args), tuple(SCHEMATIC.extensions))) == ID
    assert len(asked.bodies) == 1


def test_factory_down_after_restart_and_redis_loss_still_answers(tmp_path: Path) -> None:
    asked = Factory()
    client(asked, FakeRedis(), tmp_path).schematic_id(SCHEMATIC)
    asked.error = FactoryUnavailable("down")
    assert client(asked, FakeRedis(), tmp_path).schematic_id(SCHEMATIC) == ID
    assert len(asked.bodies) == 1


def test_storm_of_equal_boots_in_two_processes_asks_once(tmp_path: Path) -> None:
    asked, shared = Factory(), FakeRedis()
    asked.gate = threading.Event()
    processes = [client(asked, shared, tmp_path), client(asked, shared, tmp_path)]
    with ThreadPoolExecutor(40) as pool:
        boots = [pool.submit(processes[n % 2].schematic_id, SCHEMATIC) for n in range(40)]
        time.sleep(0.1)
        asked.gate.set()
        assert {boot.result(5) for boot in boots} == {ID}
    assert len(asked.bodies) == 1


def test_different_contents_are_different_questions(tmp_path: Path) -> None:
    asked = Factory()
    images = client(asked, FakeRedis(), tmp_path)
    images.schematic_id(SCHEMATIC)
    images.schematic_id(Schematic(SCHEMATIC.kernel_args, ()))
    assert len(asked.bodies) == 2


def test_another_factory_is_asked_anew(tmp_path: Path) -> None:
    asked, shared = Factory(), FakeRedis()
    client(asked, shared, tmp_path, "http://one").schematic_id(SCHEMATIC)
    client(asked, shared, tmp_path, "http://two").schematic_id(SCHEMATIC)
    client(asked, shared, tmp_path, "http://two/").schematic_id(SCHEMATIC)
    assert len(asked.bodies) == 2


@pytest.mark.parametrize("error", [FactoryUnavailable("no answer"), FactoryRefused("no such extension")])
def test_failure_is_told_to_all_processes_without_new_questions(tmp_path: Path, error: BootError) -> None:
    asked, shared = Factory(), FakeRedis()
    asked.error = error
    for images in (client(asked, shared, tmp_path), client(asked, shared, tmp_path)):
        for _ in range(3):
            with pytest.raises(type(error), match=str(error)):
                images.schematic_id(SCHEMATIC)
    assert len(asked.bodies) == 1


def test_failure_is_forgotten_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory_module, "FAILURE_KEPT_S", 0.02)
    asked = Factory()
    asked.error = FactoryUnavailable("no answer")
    images = client(asked, FakeRedis(), tmp_path)
    with pytest.raises(FactoryUnavailable):
        images.schematic_id(SCHEMATIC)
    asked.error = None
    time.sleep(0.03)
    assert images.schematic_id(SCHEMATIC) == ID


def test_only_one_thread_waits_on_a_factory_that_failed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory_module, "FAILURE_KEPT_S", 0.001)
    asked = Factory()
    asked.error = FactoryUnavailable("no answer")
    images = client(asked, FakeRedis(), tmp_path)
    with pytest.raises(FactoryUnavailable):
        images.schematic_id(SCHEMATIC)
    time.sleep(0.01)
    asked.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(images.schematic_id, SCHEMATIC)
        while len(asked.bodies) < 2:
            time.sleep(0.001)
        with pytest.raises(FactoryUnavailable):
            images.schematic_id(SCHEMATIC)
        asked.gate.set()
        assert isinstance(waits.exception(5), FactoryUnavailable)


def test_unforeseen_error_reaches_everybody_and_does_not_block_the_next(tmp_path: Path) -> None:
    def broken(body: bytes) -> str:
        raise RuntimeError("unforeseen")

    shared = FakeRedis()
    images = client(broken, shared, tmp_path)
    with pytest.raises(RuntimeError):
        images.schematic_id(SCHEMATIC)
    assert client(Factory(), shared, tmp_path).schematic_id(SCHEMATIC) == ID


def test_redis_down_asks_and_answers(tmp_path: Path) -> None:
    shared = FakeRedis()
    shared.down = True
    assert client(Factory(), shared, tmp_path).schematic_id(SCHEMATIC) == ID


def test_body_holds_arguments_and_extensions_in_their_order() -> None:
    long = "talos.config=http://10.0.0.1:50042/config?u=${uuid} " + "x" * 500
    body = schematic_yaml(Schematic(kernel_args=(long, "console=tty0"), extensions=("siderolabs/z", "siderolabs/a")))
    assert yaml.safe_load(body) == {
        "customization": {
            "extraKernelArgs": [long, "console=tty0"],
            "systemExtensions": {"officialExtensions": ["siderolabs/z", "siderolabs/a"]},
        }
    }


def test_failure_is_told_where_health_is_read_and_taken_back_by_the_next_answer(tmp_path: Path) -> None:
    asked, shared = Factory(), FakeRedis()
    images = client(asked, shared, tmp_path)
    asked.error = FactoryUnavailable("the image factory does not answer")
    with pytest.raises(FactoryUnavailable):
        images.schematic_id(SCHEMATIC)
    assert shared.get(FACTORY) == b"the image factory does not answer"
    asked.error = None
    images.schematic_id(Schematic(("other",), ()))
    assert shared.get(FACTORY) is None

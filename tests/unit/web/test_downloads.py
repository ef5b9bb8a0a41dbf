"""How many files are sent at once, and when one that is taken slowly is given up."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import cast

import pytest
from werkzeug.exceptions import ServiceUnavailable

from app.boot.ipxe.files import Offer
from app.web.downloads import LEAST_BYTES_PER_S, PIECE_BYTES, RATE_OVER_S, RETRY_AFTER_S, Downloads, Pieces, Place
from config.settings import Settings
from config.web_threads import for_downloads, threads
from tests.unit.web.stand_ins import Site

ONE, OTHER = "10.0.0.7", "10.0.0.8"


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def begun(downloads: Downloads, address: str | None, number: int) -> list[Place]:
    return [downloads.begin(address) for _ in range(number)]


def test_who_is_one_too_many_is_told_when_to_come_again_and_is_served_when_one_has_ended() -> None:
    downloads = Downloads(4)
    places = begun(downloads, ONE, 2) + begun(downloads, OTHER, 2)
    with pytest.raises(ServiceUnavailable) as refused:
        downloads.begin("10.0.0.9")
    assert refused.value.retry_after == RETRY_AFTER_S
    for _ in range(2):  # ending it again frees nothing more
        places[0].end()
    places.append(downloads.begin("10.0.0.9"))
    with pytest.raises(ServiceUnavailable):
        downloads.begin("10.0.0.9")


def test_one_address_leaves_a_quarter_of_the_places_to_others() -> None:
    downloads = Downloads(8)
    begun(downloads, ONE, 6)
    with pytest.raises(ServiceUnavailable):
        downloads.begin(ONE)
    begun(downloads, OTHER, 2)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_proxy_on_this_host_may_have_all_places(address: str) -> None:
    downloads = Downloads(8)
    begun(downloads, address, 8)
    with pytest.raises(ServiceUnavailable):
        downloads.begin(address)


def test_refusals_are_said_once_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    downloads = Downloads(1)
    downloads.begin(ONE)
    for _ in range(20):
        with pytest.raises(ServiceUnavailable):
            downloads.begin(ONE)
    assert capsys.readouterr().out.count("downloads_refused") == 1


def pieces(clock: Clock, size_bytes: int) -> Pieces:
    return Pieces(cast("BytesIO", BytesIO(bytes(size_bytes))), Place(), clock)  # type: ignore[arg-type]


def test_file_that_is_taken_fast_enough_comes_whole_however_long_it_takes() -> None:
    clock, size_bytes, taken = Clock(), 100 * PIECE_BYTES, 0
    for piece in pieces(clock, size_bytes):
        taken += len(piece)
        clock.now_s += PIECE_BYTES / LEAST_BYTES_PER_S
    assert taken == size_bytes


def test_file_that_is_taken_a_little_slower_is_given_up_when_that_is_sure() -> None:
    clock, began_s = Clock(), Clock.now_s

    def take_slowly() -> None:
        for _ in pieces(clock, 1_000 * PIECE_BYTES):
            clock.now_s += PIECE_BYTES / LEAST_BYTES_PER_S * 1.2

    with pytest.raises(TimeoutError, match="32,768 bytes a second"):
        take_slowly()
    assert RATE_OVER_S <= clock.now_s - began_s <= RATE_OVER_S + 10


def test_link_that_is_away_for_half_a_minute_ends_nothing() -> None:
    clock, size_bytes, taken = Clock(), 400 * PIECE_BYTES, 0
    for number, piece in enumerate(pieces(clock, size_bytes)):
        taken += len(piece)
        clock.now_s += 28 if number == 50 else 1
    assert taken == size_bytes


@pytest.mark.parametrize("local", [True, False])
def test_half_of_the_threads_are_left_for_boots(local: bool) -> None:
    settings = Settings(use_local_boot_assets=local)
    assert threads(settings) == (256 if local else 64)
    assert for_downloads(settings) == threads(settings) / 2


@pytest.fixture
def one_place(make_site: Callable[..., Site], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("app.web.files.for_downloads", lambda _settings: 1)
    (tmp_path / "kernel-amd64").write_bytes(b"0123456789")
    files = Offer({"snp.efi": b"0123456789"})
    return make_site(boot_files=files, use_local_boot_assets=True, boot_assets_path=tmp_path)


@pytest.mark.parametrize(
    ("path", "asked", "status"),
    [
        ("/tftp/snp.efi", {}, 200),
        ("/tftp/snp.efi", {"Range": "bytes=1-2"}, 206),
        ("/assets/kernel-amd64", {}, 200),
        ("/assets/kernel-amd64", {"Range": "bytes=1-2"}, 206),
        ("/assets/kernel-amd64", {"Range": "bytes=99-"}, 416),
        ("/assets/no", {}, 404),
    ],
)
def test_each_answer_leaves_its_place_again(one_place: Site, path: str, asked: dict[str, str], status: int) -> None:
    for _ in range(3):
        assert one_place.get(path, ONE, **asked).status_code == status


def test_file_that_is_one_too_many_is_503_with_a_time_and_a_head_is_answered(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.files.for_downloads", lambda _settings: 0)
    site = make_site(boot_files=Offer({"snp.efi": b"0123456789"}))
    answer = site.get("/tftp/snp.efi", ONE)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == str(RETRY_AFTER_S)
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert site.ask("HEAD", "/tftp/snp.efi", ONE).status_code == 200

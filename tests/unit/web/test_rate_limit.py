"""The limit of requests: by address, whatever is asked for, and high enough for a rack behind one address."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from app.state.metrics import RATE_LIMITED
from app.web import rate_limit
from app.web.rate_limit import Buckets, bucket_of
from config.defaults import number
from tests.unit.web.stand_ins import API_TOKEN, MACHINE_ID, Site

BOOTS = ["/ipxe/init.ipxe", f"/ipxe/boot.ipxe?uuid={MACHINE_ID}", f"/config?u={MACHINE_ID}", "/tftp/x", "/assets/x"]


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def small(make_site: Callable[..., Site]) -> Site:
    """One request a second from one address in each process, ten at once."""
    return make_site(boot_rate_limit=2, web_workers=2)


def exhaust(site: Site, address: str | None = "10.0.0.7") -> None:
    for _ in range(10):
        assert site.get("/ipxe/init.ipxe", address).status_code == 200


def test_bucket_holds_ten_seconds_of_the_rate_and_fills_with_it(clock: Clock) -> None:
    buckets = Buckets(2, clock)
    assert [buckets.take("a") for _ in range(20)] == [None] * 20
    refusal = buckets.take("a")
    assert refusal is not None and refusal.retry_after_s == 1
    clock.now_s += 0.5
    assert buckets.take("a") is None
    assert buckets.take("a") is not None
    clock.now_s += 3_600
    assert [buckets.take("a") for _ in range(20)] == [None] * 20
    assert buckets.take("a") is not None


def test_other_address_has_a_bucket_of_its_own(clock: Clock) -> None:
    buckets = Buckets(0.1, clock)
    assert buckets.take("a") is None
    assert buckets.take("a") is not None
    assert buckets.take("b") is None


def test_refusal_says_when_the_next_token_is_there(clock: Clock) -> None:
    buckets = Buckets(0.25, clock)
    while (refusal := buckets.take("a")) is None:
        pass
    clock.now_s += refusal.retry_after_s
    assert buckets.take("a") is None


def test_address_that_floods_is_said_once_a_minute_with_how_often(clock: Clock) -> None:
    buckets = Buckets(0.1, clock)
    buckets.take("a")
    said = [refusal.unsaid for _ in range(500) if (refusal := buckets.take("a"))]
    assert said == [1] + [0] * 499
    clock.now_s += 60
    buckets.take("a")
    said = [refusal.unsaid for _ in range(3) if (refusal := buckets.take("a"))]
    assert said[0] == 500
    assert said[1:] == [0, 0]


def test_number_of_addresses_is_bounded_and_the_most_silent_is_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "ADDRESSES", 3)
    buckets = Buckets(0.1, clock)
    for key in ("a", "b", "c", "a", "d", "e"):
        buckets.take(key)
    assert len(buckets) == 3
    assert buckets.take("a") is not None  # still known, and empty
    assert buckets.take("b") is None  # forgotten, and so full


def test_default_lets_a_thousand_machines_behind_one_address_boot_at_once(clock: Clock) -> None:
    each_process = Buckets(number("boot-rate-limit") / number("web-workers"), clock)
    requests_of_a_boot = 5
    assert not any(each_process.take("nat") for _ in range(1_000 * requests_of_a_boot))


@pytest.mark.parametrize(
    ("address", "other", "same"),
    [
        ("10.0.0.7", "10.0.0.7", True),
        ("10.0.0.7", "10.0.0.8", False),
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        (None, None, True),
        (None, "10.0.0.7", False),
    ],
)
def test_bucket_is_that_of_an_ipv4_address_or_of_a_network_of_64(
    address: str | None, other: str | None, same: bool
) -> None:
    assert (bucket_of(address) == bucket_of(other)) is same


@pytest.mark.parametrize("path", BOOTS)
def test_too_many_boot_requests_get_429_with_a_time_and_a_length(small: Site, path: str) -> None:
    exhaust(small)
    answer = small.get(path, "10.0.0.7")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) == 1
    assert answer.headers["Content-Length"] == str(len(answer.data)) != "0"
    assert "Transfer-Encoding" not in answer.headers
    assert "1 s" in answer.text
    assert not small.boots.noted and not small.boots.asked


def test_head_is_limited_like_get_and_has_no_body(small: Site) -> None:
    exhaust(small)
    answer = small.ask("HEAD", "/ipxe/init.ipxe", "10.0.0.7")
    assert (answer.status_code, answer.data) == (429, b"")
    assert int(answer.headers["Content-Length"]) > 0


def test_another_machine_is_not_held_up_by_one_that_floods(small: Site) -> None:
    exhaust(small)
    assert small.get("/ipxe/init.ipxe", "10.0.0.8").status_code == 200
    assert small.get("/ipxe/init.ipxe", None).status_code == 200


def test_clients_whose_address_is_not_known_are_limited_together(small: Site) -> None:
    exhaust(small, None)
    assert small.get("/ipxe/init.ipxe", None).status_code == 429


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_host_is_not_limited(small: Site, address: str) -> None:
    assert {small.get("/ipxe/init.ipxe", address).status_code for _ in range(50)} == {200}


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/machines", "/readyz", "/metrics", "/login", "/static/x", "/no", "//ipxe/init.ipxe", "/ipxe"]
)
def test_no_other_path_leads_around_the_limit(small: Site, path: str) -> None:
    exhaust(small)
    assert small.get(path, "10.0.0.7").status_code == 429


def test_sign_of_life_is_not_limited(small: Site) -> None:
    exhaust(small)
    assert small.get("/healthz", "10.0.0.7").status_code == 200


def test_who_shows_the_token_is_not_limited_and_who_guesses_is(make_site: Callable[..., Site]) -> None:
    site = make_site(boot_rate_limit=2, web_workers=2, api_token=API_TOKEN)
    exhaust(site)
    assert site.get("/api/v1/machines", "10.0.0.7", Authorization=f"Bearer {API_TOKEN}").status_code == 200
    for guess in ("Bearer no", f"Basic {API_TOKEN}", "Bearer ", "Bearer \xfc", API_TOKEN):
        assert site.get("/api/v1/machines", "10.0.0.7", Authorization=guess).status_code == 429


def test_empty_token_is_none(small: Site) -> None:
    exhaust(small)
    assert small.get("/metrics", "10.0.0.7", Authorization="Bearer ").status_code == 429


def test_no_limit_refuses_nothing(make_site: Callable[..., Site]) -> None:
    site = make_site(boot_rate_limit=0)
    assert {site.get("/ipxe/init.ipxe", "10.0.0.7").status_code for _ in range(50)} == {200}


def test_refusals_are_counted_now_and_then_by_whoever_comes(small: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    exhaust(small)
    for _ in range(7):
        assert small.get("/ipxe/init.ipxe", "10.0.0.7").status_code == 429
    assert small.redis.counts == {RATE_LIMITED: 1}  # the first at once, the others in one
    monkeypatch.setattr(rate_limit, "COUNT_EVERY_S", 0)
    small.get("/healthz", "10.0.0.8")
    assert small.redis.counts == {RATE_LIMITED: 7}


def test_refusals_are_answered_and_counted_later_while_redis_is_away(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(key: str, count: int) -> None:
        raise redis.ConnectionError("refused")

    exhaust(small)
    with monkeypatch.context() as patch:
        patch.setattr(small.redis, "incrby", away)
        assert small.get("/ipxe/init.ipxe", "10.0.0.7").status_code == 429
    monkeypatch.setattr(rate_limit, "COUNT_EVERY_S", 0)
    small.get("/healthz", "10.0.0.8")
    assert small.redis.counts == {RATE_LIMITED: 1}


def test_log_has_one_line_for_an_address_that_floods(small: Site, capsys: pytest.CaptureFixture[str]) -> None:
    exhaust(small)
    for _ in range(20):
        small.get("/ipxe/init.ipxe", "10.0.0.7")
    said = capsys.readouterr().out
    assert said.count("boot_rate_limited") == 1
    assert "10.0.0.7" in said

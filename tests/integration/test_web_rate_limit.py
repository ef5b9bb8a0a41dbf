"""The limit of boot requests through gunicorn as it runs in production: two processes, each with its part."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.state.metrics import RATE_LIMITED
from tests.integration.children import wait_until
from tests.integration.web_site import Answer, web_site

pytestmark = pytest.mark.integration

FLOODER, OTHER = "10.0.0.7", "10.0.0.8"


def test_address_that_floods_gets_429_and_others_their_answer(tmp_path: Path) -> None:
    with web_site(tmp_path, "--boot-rate-limit=4", "--web-workers=2") as site:

        def ask(_: int) -> Answer:
            return site.ask("/ipxe/init.ipxe", address=FLOODER)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(200)))
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 429}
        assert 20 <= statuses.count(200) <= 60  # 20 to 40 at once, as the processes share them, and what is new by now
        refused = next(answer for answer in answers if answer.status == 429)
        assert int(refused.headers["Retry-After"]) >= 1
        assert int(refused.headers["Content-Length"]) == len(refused.body) > 0
        assert "Transfer-Encoding" not in refused.headers
        assert site.ask("/ipxe/init.ipxe", address=OTHER).status == 200
        head = site.ask("/ipxe/init.ipxe", "HEAD", FLOODER)
        assert head.status in {200, 429} and head.body == b""
        assert wait_until(lambda: 1 <= int(site.redis.get(RATE_LIMITED) or 0) <= statuses.count(429) + 1, 10)
        said = [line for line in site.logged() if line["event"] == "boot_rate_limited"]
        assert 1 <= len(said) <= 2  # one from each process
        assert {line["address"] for line in said} == {FLOODER}

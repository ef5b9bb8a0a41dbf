"""A web application on stand-ins of its services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from app.boot.assets import LocalAssets
from app.boot.boot_settings import boot_settings
from app.boot.extra import ExtraDocuments
from app.boot.ipxe.files import Offer
from app.boot.trust import Trust
from app.machine.verbs import Verb
from app.web.app import create_app
from app.web.services import Services, decide_options
from config.settings import Settings
from tests.unit.web.stand_ins import (
    MACHINE_ID,
    FakeBoots,
    FakeFactory,
    FakeHistory,
    FakeMirror,
    FakeRedis,
    FakeViews,
    Site,
    picture,
)
from workers.enqueue import OrderResult


@pytest.fixture
def make_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Site]:
    """Makes an application; the arguments are settings."""

    def make(*, boot_files: Offer = Offer({}), **options: Any) -> Site:  # noqa: B008 - never changed
        given = {"omni_api_endpoint": "http://omni", "api_advertise_address": "10.0.0.1", "state_dir": tmp_path}
        settings = Settings(**{**given, **options})
        mirror, boots, factory, client = FakeMirror(), FakeBoots(), FakeFactory(), FakeRedis()
        views, history = FakeViews(mirror), FakeHistory()
        services = Services(
            settings=settings,
            redis=cast(Any, client),
            mirror=cast(Any, mirror),
            boots=cast(Any, boots),
            views=cast(Any, views),
            history=cast(Any, history),
            factory=cast(Any, factory),
            trust=Trust(settings, mirror),
            extra=ExtraDocuments(settings),
            boot_files=boot_files,
            assets=LocalAssets(settings.boot_assets_path) if settings.use_local_boot_assets else None,
            boot_settings=boot_settings(settings),
            decide_options=decide_options(settings),
        )
        flask = create_app(settings, services).test_client()
        site = Site(mirror, boots, factory, client, views, history, flask)
        monkeypatch.setattr("app.web.api.order", lambda _settings, _client, *asked: _order(site, *asked))
        monkeypatch.setattr("app.web.health.read_health", lambda _client: _or_raise(site.health))
        return site

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """An application with one idle machine."""
    made = make_site()
    made.mirror.machines[MACHINE_ID] = picture()
    return made


def _order(site: Site, machine_id: str, verb: Verb, by: str) -> OrderResult:
    site.ordered.append((machine_id, verb.value, by))
    return _or_raise(site.order_answer)


def _or_raise(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value

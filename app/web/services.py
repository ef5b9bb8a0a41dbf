"""What the web process works with: made once in each worker process, after the fork, and never changed."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from app.boot.assets import LocalAssets
from app.boot.boot_settings import boot_settings
from app.boot.extra import ExtraDocuments
from app.boot.factory import ImageFactory
from app.boot.ipxe.files import Offer, offer
from app.boot.schematic_store import SchematicStore
from app.boot.trust import Trust
from app.machine.boot import BootSettings
from app.machine.model import DecideOptions
from app.state.boots import Boots
from app.state.connection import connect
from app.state.deciding import decide_options
from app.state.history import History
from app.state.mirror import Mirror
from app.state.secrets import sealer
from app.state.view import Views
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that answers are made of."""

    settings: Settings
    redis: redis.Redis
    mirror: Mirror
    boots: Boots
    views: Views
    history: History
    factory: ImageFactory
    trust: Trust
    extra: ExtraDocuments
    boot_files: Offer
    assets: LocalAssets | None
    boot_settings: BootSettings
    decide_options: DecideOptions


def connect_services(settings: Settings) -> Services:
    """All services of these settings. Nothing is connected before the first request; boot files are read now."""
    client = connect(settings)
    seal = sealer(settings)
    store = SchematicStore(client, settings.state_dir / "schematics")
    mirror = Mirror(client, seal)
    return Services(
        settings=settings,
        redis=client,
        mirror=mirror,
        boots=Boots(client),
        views=Views(client, seal, settings),
        history=History(client),
        factory=ImageFactory(settings.image_factory_base_url, store, locks=client),
        trust=Trust(settings, mirror),
        extra=ExtraDocuments(settings),
        boot_files=offer(settings),
        assets=_assets(settings),
        boot_settings=boot_settings(settings),
        decide_options=decide_options(settings),
    )


def _assets(settings: Settings) -> LocalAssets | None:
    folder = settings.boot_assets_path if settings.use_local_boot_assets else None
    return LocalAssets(folder) if folder else None

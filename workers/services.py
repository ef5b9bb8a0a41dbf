"""What a worker process works with, built once per process."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import redis

from app.agents.client import GatewayClient
from app.omni.client import Omni
from app.omni.connect import connect_omni
from app.state.attempts import Attempts
from app.state.bmc_lease import BmcLeases
from app.state.connection import connect
from app.state.history import History
from app.state.lease import Leases
from app.state.logins import RefusedLogins
from app.state.mirror import Mirror
from app.state.power import PowerNotes
from app.state.power_turns import PowerTurns
from app.state.renewals import Renewals
from app.state.secrets import gateway_token, sealer
from app.state.wake import Alarms
from config.settings import Settings
from workers.bmc.door import BmcDoor
from workers.keeper import LeaseKeeper


@dataclass(frozen=True, slots=True)
class Services:
    """The tools of a task."""

    settings: Settings
    redis: redis.Redis
    omni: Omni
    gateway: GatewayClient
    mirror: Mirror
    leases: Leases
    keeper: LeaseKeeper
    attempts: Attempts
    history: History
    alarms: Alarms
    power_notes: PowerNotes
    power_turns: PowerTurns
    logins: RefusedLogins
    renewals: Renewals
    bmcs: BmcDoor


def build(
    settings: Settings,
    client: redis.Redis | None = None,
    omni: Omni | None = None,
    gateway: GatewayClient | None = None,
) -> Services:
    """The services for these settings; what is given is used as it is."""
    client = client or connect(settings)
    leases, seal = Leases(client), sealer(settings)
    logins = RefusedLogins(client, seal)
    return Services(
        settings=settings,
        redis=client,
        omni=omni or connect_omni(settings),
        gateway=gateway or GatewayClient(client, gateway_token(settings), call_timeout_s=settings.agent_call_timeout_s),
        mirror=Mirror(client, seal),
        leases=leases,
        keeper=LeaseKeeper(leases),
        attempts=Attempts(client),
        history=History(client),
        alarms=Alarms(client),
        power_notes=PowerNotes(client),
        power_turns=PowerTurns(client, settings.max_power_ons_per_minute),
        logins=logins,
        renewals=Renewals(client),
        bmcs=BmcDoor(settings, BmcLeases(client, int(settings.ipmi_min_interval_s * 1000)), logins),
    )


class _Process:
    """What this process was told to use."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.settings: Settings | None = None
        self.services: Services | None = None


_process = _Process()


def use(services: Services | None, settings: Settings | None = None) -> None:
    """Let the tasks of this process use these services, or build them from these settings when first needed."""
    with _process.lock:
        _process.services = services
        _process.settings = settings or (services.settings if services else None)


def current() -> Services:
    """The services of this process."""
    with _process.lock:
        if _process.services is None:
            if _process.settings is None:
                raise RuntimeError("no settings: start workers with `omni-metal worker`, not with `celery worker`")
            _process.services = build(_process.settings)
        return _process.services

"""Setting up the BMC login: the user's as it is, or one of our own through the agent."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.agents.client import PowerManagement
from app.machine.model import PowerState
from app.omni.kinds import Kind
from app.state.attempts import Attempt
from tests.unit.workers.conftest import MACHINE, Bottle
from workers import services as worker_services
from workers.bmc_address import address_of
from workers.bmc_setup import configure_bmc_task
from workers.errors import AddressUnknown


def run(bottle: Bottle) -> tuple[str, str]:
    result = configure_bmc_task.apply(kwargs={"machine_id": MACHINE})
    return result.state, str(result.result)


def joined(bottle: Bottle) -> None:
    """An accepted machine whose agent is there and whose BMC is not configured."""
    bottle.give(Kind.INFRA_MACHINE, acceptance_status=1)
    bottle.give(Kind.MACHINE_STATUS)
    bottle.agent()


def test_users_login_is_taken_over_without_an_agent(bottle: Bottle) -> None:
    bottle.give(Kind.INFRA_MACHINE, acceptance_status=1)

    def login(draft: object) -> None:
        ipmi = draft.spec.config.ipmi  # type: ignore[attr-defined]  # a BMCConfig draft
        ipmi.address, ipmi.username, ipmi.password = "192.0.2.7", "admin", "s3cret"

    bottle.services.mirror.put(bottle.omni.update(Kind.BMC_CONFIG, MACHINE, login, create=True))
    state, words = run(bottle)
    spec = bottle.spec(Kind.BMC_CONFIGURATION)
    assert state == "SUCCESS" and "s3cret" not in words
    assert (spec.ipmi.address, spec.ipmi.port, spec.ipmi.password) == ("192.0.2.7", 623, "s3cret")
    assert spec.manually_configured
    assert run(bottle)[1].startswith("skipped: not due")


def test_agent_with_ipmi_gets_a_random_password_of_sixteen_letters_and_digits(bottle: Bottle) -> None:
    joined(bottle)
    bottle.gateway.power = PowerManagement(ipmi_address="192.0.2.7", ipmi_port=623, ipmi=True, api=False)
    run(bottle)
    ((user, password),) = bottle.gateway.logins
    assert user == "talos-agent" and len(password) == 16 and password.isalnum()
    spec = bottle.spec(Kind.BMC_CONFIGURATION)
    assert (spec.ipmi.username, spec.ipmi.password, spec.manually_configured) == (user, password, False)
    assert password not in str(bottle.services.redis.lrange(f"om:history:{MACHINE}", 0, -1))


def test_lease_that_is_lost_sets_no_password(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    joined(bottle)
    bottle.gateway.power = PowerManagement(ipmi_address="192.0.2.7", ipmi_port=623, ipmi=True, api=False)
    asked = bottle.gateway.get_power_management

    def loses_it(machine_id: str) -> PowerManagement:
        lease = bottle.services.leases.current(machine_id)
        assert lease is not None
        bottle.services.leases.give_back(lease, 0.0)
        bottle.services.leases.take(machine_id, "power_off", "another")
        return asked(machine_id)

    monkeypatch.setattr(bottle.gateway, "get_power_management", loses_it)
    assert run(bottle)[1].startswith("skipped: ")
    assert bottle.gateway.logins == [] and (Kind.BMC_CONFIGURATION, MACHINE) not in bottle.omni.stored


def test_agent_with_neither_is_a_failure_in_words(bottle: Bottle) -> None:
    joined(bottle)
    bottle.gateway.power = PowerManagement(ipmi_address="", ipmi_port=0, ipmi=False, api=False)
    state, words = run(bottle)
    assert state == "FAILURE" and "neither IPMI nor the API" in words


def test_agent_with_the_api_kind_gets_its_address_from_the_state_dir_and_the_power_is_read(
    bottle: Bottle, tmp_path: Path
) -> None:
    joined(bottle)
    config = {"NodeUUID": MACHINE, "Network": {"GatewayAddrs": ["192.0.2.1"]}, "APIBindAddress": {"Port": 8080}}
    (tmp_path / "m.config").write_text(json.dumps(config))
    settings = replace(bottle.services.settings, api_power_mgmt_state_dir=tmp_path)
    worker_services.use(replace(bottle.services, settings=settings))
    bottle.gateway.power = PowerManagement(ipmi_address="", ipmi_port=0, ipmi=False, api=True)
    assert run(bottle) == ("SUCCESS", "found the BMC at 192.0.2.1:8080")
    assert bottle.spec(Kind.BMC_CONFIGURATION).api.address == "192.0.2.1:8080"
    assert bottle.facts().powered_on is True


def test_new_login_gives_parked_power_operations_another_try(bottle: Bottle) -> None:
    joined(bottle)
    parked = Attempt("power_on", "x", 1, 0, True, "BmcAuthenticationFailed", "401", 1)
    bottle.services.attempts.store(MACHINE, parked)
    bottle.gateway.power = PowerManagement(ipmi_address="192.0.2.7", ipmi_port=623, ipmi=True, api=False)
    run(bottle)
    assert bottle.attempts() == {}


def test_address_that_an_agent_may_not_name_parks_before_a_password_is_set(bottle: Bottle) -> None:
    joined(bottle)
    bottle.gateway.power = PowerManagement(ipmi_address="127.0.0.1", ipmi_port=623, ipmi=True, api=False)
    state, words = run(bottle)
    assert state == "FAILURE" and "127.0.0.1" in words and MACHINE in words and "BMCConfig" in words
    assert bottle.gateway.logins == []
    assert (Kind.BMC_CONFIGURATION, MACHINE) not in bottle.omni.stored
    assert bottle.attempts()["configure_bmc"].parked
    bottle.pause_ends()
    assert run(bottle)[0] == "FAILURE"  # by hand: it decides anew
    bottle.gateway.power = PowerManagement(ipmi_address="192.0.2.7", ipmi_port=623, ipmi=True, api=False)
    assert run(bottle)[0] == "SUCCESS"


def test_networks_that_are_allowed_bind_the_agent_and_not_the_user(bottle: Bottle) -> None:
    joined(bottle)
    allowed = (ipaddress.ip_network("10.1.0.0/16"),)
    worker_services.use(replace(bottle.services, settings=replace(bottle.services.settings, bmc_allowed_cidrs=allowed)))
    bottle.gateway.power = PowerManagement(ipmi_address="192.0.2.7", ipmi_port=623, ipmi=True, api=False)
    assert "--bmc-allowed-cidrs" in run(bottle)[1]

    def login(draft: object) -> None:
        ipmi = draft.spec.config.ipmi  # type: ignore[attr-defined]  # a BMCConfig draft
        ipmi.address, ipmi.username, ipmi.password = "127.0.0.1", "admin", "s3cret"

    bottle.services.mirror.put(bottle.omni.update(Kind.BMC_CONFIG, MACHINE, login, create=True))
    assert run(bottle)[0] == "SUCCESS"
    assert bottle.spec(Kind.BMC_CONFIGURATION).ipmi.address == "127.0.0.1"


def test_bmc_without_an_address_yet_is_asked_again_by_the_clock(bottle: Bottle) -> None:
    joined(bottle)
    bottle.gateway.power = PowerManagement(ipmi_address="0.0.0.0", ipmi_port=623, ipmi=True, api=False)
    assert run(bottle)[0] == "FAILURE"
    assert not bottle.attempts()["configure_bmc"].parked
    assert bottle.gateway.logins == []


def test_gated_machine_gets_no_login(bottle: Bottle) -> None:
    bottle.give(Kind.INFRA_MACHINE)
    bottle.give(Kind.MACHINE_STATUS, power_state=PowerState.ON)
    bottle.agent()
    assert run(bottle)[1].startswith("skipped: not due")
    assert bottle.gateway.logins == []


def test_older_layout_is_read_and_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.config").write_text("{")
    (tmp_path / "b.config").write_text(
        json.dumps({"NodeUUID": MACHINE.upper(), "GatewayAddrs": ["fd00::1"], "APIPort": 8080})
    )
    assert address_of(MACHINE, tmp_path) == "[fd00::1]:8080"
    with pytest.raises(AddressUnknown, match=r"no \*\.config file"):
        address_of("other", tmp_path)
    with pytest.raises(AddressUnknown, match="--api-power-mgmt-state-dir is not set"):
        address_of(MACHINE, None)

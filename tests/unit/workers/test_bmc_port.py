"""A port that cannot be is refused where a user's login is taken over, with value, place and remedy."""

from __future__ import annotations

import pytest

from app.omni.kinds import Kind
from tests.unit.workers.conftest import MACHINE, Bottle
from workers.bmc_setup import configure_bmc_task


def given(bottle: Bottle, port: int) -> None:
    def login(draft: object) -> None:
        ipmi = draft.spec.config.ipmi  # type: ignore[attr-defined]  # a BMCConfig draft
        ipmi.address, ipmi.port, ipmi.username, ipmi.password = "192.0.2.7", port, "admin", "pw"

    bottle.services.mirror.put(bottle.omni.update(Kind.BMC_CONFIG, MACHINE, login, create=True))


def run(bottle: Bottle) -> tuple[str, str]:
    result = configure_bmc_task.apply(kwargs={"machine_id": MACHINE})
    return result.state, str(result.result)


@pytest.mark.parametrize("port", [65_536, 70_000, 2**32 - 1])
def test_port_that_cannot_be_is_parked_with_value_place_and_remedy(bottle: Bottle, port: int) -> None:
    bottle.give(Kind.INFRA_MACHINE, acceptance_status=1)
    given(bottle, port)
    state, words = run(bottle)
    assert state == "FAILURE"
    assert words == (
        f"the BMCConfig of the machine in Omni gives 192.0.2.7 the port {port}, and there are 1 to 65535 alone. "
        "Correct it in Omni (BMCConfig); nothing else needs to be done"
    )
    attempt = bottle.attempts()["configure_bmc"]
    assert attempt.parked and attempt.next_ms == 0 and attempt.error == "UserLoginUnusable"
    assert (Kind.BMC_CONFIGURATION, MACHINE) not in bottle.omni.stored and bottle.bmc.log == []
    given(bottle, 65_535)
    assert run(bottle)[0] == "SUCCESS" and bottle.spec(Kind.BMC_CONFIGURATION).ipmi.port == 65_535

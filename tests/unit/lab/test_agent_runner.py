import asyncio

import grpc
import pytest

from lab.agent import AgentRefusal, IpmiAddress, IpmiLogin
from lab.agent_runner import MachineAgent
from lab.rack import Rack, RackOptions


class Bmc:
    def __init__(self):
        self.logins = []

    def set_login(self, username, password):
        if len(password) > 20:
            raise ValueError("a password of IPMI has up to 20 bytes")
        self.logins.append((username, password))


@pytest.fixture
def at():
    machine = Rack(RackOptions(machines=1)).machines[0]
    machine.bmc = Bmc()
    return machine


def test_agent_tells_where_the_bmc_is_and_makes_the_user_there(at):
    at.ipmi = ("127.77.0.1", 623)
    agent = MachineAgent(at)

    assert asyncio.run(agent.get_power_management()) == IpmiAddress("127.77.0.1", 623)
    asyncio.run(agent.set_power_management(IpmiLogin("talos-agent", "sesame")))

    assert at.bmc.logins == [("talos-agent", "sesame")]


def test_user_that_cannot_be_made_is_refused_in_words(at):
    at.refuse_bmc_users = 1

    with pytest.raises(AgentRefusal) as refused:
        asyncio.run(MachineAgent(at).set_power_management(IpmiLogin("talos-agent", "sesame")))
    assert refused.value.code is grpc.StatusCode.UNKNOWN
    with pytest.raises(AgentRefusal, match="up to 20 bytes"):
        asyncio.run(MachineAgent(at).set_power_management(IpmiLogin("talos-agent", "s" * 21)))
    asyncio.run(MachineAgent(at).set_power_management(None))

    assert at.bmc.logins == []

"""What an agent's failure tells, and what it must not."""

import asyncio

import grpc
import pytest

from app.agents.agent import Agent
from app.agents.errors import AgentFailed
from app.agents.tunnel import CallFailed
from app.agents.words import LONGEST

PASSWORD = "Xy7pQ2mN8vB4kL1w"


class FailingTunnel:
    def __init__(self, text):
        self.text = text

    async def call(self, method, request, timeout_s):
        raise CallFailed(grpc.StatusCode.UNKNOWN, self.text)


@pytest.mark.parametrize("before", ["ipmitool user set password 4 ", "x" * (LONGEST - 8)])
def test_failed_login_that_quotes_its_password_is_told_without_it(before):
    agent = Agent(FailingTunnel(f"{before}{PASSWORD}: command failed"))
    with pytest.raises(AgentFailed) as caught:
        asyncio.run(agent.set_power_management_ipmi("talos-agent", PASSWORD, 1))
    assert PASSWORD[:4] not in str(caught.value) and "UNKNOWN" in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__

"""The calls that an agent answers, typed, over its tunnel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from app.agents.errors import AgentFailed
from app.agents.tunnel import CallFailed, Tunnel
from app.agents.words import failure
from protos.gen.agent import agent_pb2

SERVICE: Final = "/management.AgentService"
HIDDEN: Final = "[password]"
_AnswerT = TypeVar("_AnswerT", bound=Message)


@dataclass(frozen=True, slots=True)
class PowerManagement:
    """How a machine's power can be managed, in its agent's words. The address is empty without `ipmi`."""

    ipmi_address: str = ""
    ipmi_port: int = 0
    ipmi: bool = False
    api: bool = False


class Agent:
    """The agent at the other end of a tunnel. Every call raises an AgentError when it fails."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel

    async def hello(self, timeout_s: float) -> None:
        """Return when the agent answers."""
        await self._told("Hello", agent_pb2.HelloRequest(), agent_pb2.HelloResponse, timeout_s)

    async def get_power_management(self, timeout_s: float) -> PowerManagement:
        """Ask what there is to manage the power with."""
        request = agent_pb2.GetPowerManagementRequest()
        answer = await self._told("GetPowerManagement", request, agent_pb2.GetPowerManagementResponse, timeout_s)
        return PowerManagement(
            ipmi_address=answer.ipmi.address,
            ipmi_port=answer.ipmi.port,
            ipmi=answer.HasField("ipmi"),
            api=answer.HasField("api"),
        )

    async def set_power_management_ipmi(self, username: str, password: str, timeout_s: float) -> None:
        """Have a BMC user made, or its password set."""
        ipmi = agent_pb2.SetPowerManagementRequest.IPMI(username=username, password=password)
        request = agent_pb2.SetPowerManagementRequest(ipmi=ipmi)
        try:
            await self._call("SetPowerManagement", request, agent_pb2.SetPowerManagementResponse, timeout_s)
        except CallFailed as error:  # whoever says what failed may quote the command, and so the password
            raise failure(error.code, error.text.replace(password, HIDDEN)) from None

    async def set_power_management_api(self, timeout_s: float) -> None:
        """Tell the agent that the power is managed over the HTTP API kind."""
        request = agent_pb2.SetPowerManagementRequest(api=agent_pb2.SetPowerManagementRequest.API())
        await self._told("SetPowerManagement", request, agent_pb2.SetPowerManagementResponse, timeout_s)

    async def wipe_disks(self, timeout_s: float, *, zeroes: bool) -> None:
        """Wipe all disks; returns when that is done."""
        request = agent_pb2.WipeDisksRequest(zeroes=zeroes)
        await self._told("WipeDisks", request, agent_pb2.WipeDisksResponse, timeout_s, wipe=True)

    async def _told(
        self, method: str, request: Message, answer: type[_AnswerT], timeout_s: float, *, wipe: bool = False
    ) -> _AnswerT:
        """Make a call. Raises AgentError."""
        try:
            return await self._call(method, request, answer, timeout_s)
        except CallFailed as error:
            raise failure(error.code, error.text, wipe=wipe) from None

    async def _call(self, method: str, request: Message, answer: type[_AnswerT], timeout_s: float) -> _AnswerT:
        """Make a call. Raises CallFailed with what the agent said, word for word, and AgentFailed."""
        data = await self.tunnel.call(f"{SERVICE}/{method}", request.SerializeToString(), timeout_s)
        try:
            return answer.FromString(data)
        except DecodeError:
            raise AgentFailed(f"the agent's answer to {method} cannot be read") from None

"""A program that asks a virtual Redfish BMC without a socket."""

import asyncio
import base64
import json

from lab.bmc.fleet import FleetMachine
from lab.bmc.redfish.server import VirtualRedfishBmc
from lab.http import NoAnswer, Request

MACHINE = "33221100-5544-7766-8899-aabbccddeeff"
USER, PASSWORD = "admin", "s:cret"
SYSTEM = "/redfish/v1/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
SESSIONS = "/redfish/v1/SessionService/Sessions"


def basic(username=USER, password=PASSWORD):
    return {"authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


class Answer:
    """What came of a request."""

    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = json.loads(response.body) if response.body else None

    @property
    def message(self):
        """The id of an error's message, without its registry."""
        return self.body["error"]["@Message.ExtendedInfo"][0]["MessageId"].rpartition(".")[2]


class Asking:
    """A BMC that has one user, and one who asks it; a request is lost as None."""

    def __init__(self, dice=None):
        self.machine = FleetMachine(MACHINE)
        self.bmc = VirtualRedfishBmc(self.machine, MACHINE, dice)
        self.bmc.set_login(USER, PASSWORD)
        self.ledger, self.traits = self.bmc.ledger, self.bmc.traits

    async def ask(self, method, path, body=None, headers=None, peer="127.0.0.1:1"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        request = Request(method, path, headers=basic() if headers is None else headers, body=body, peer=peer)
        try:
            return Answer(await self.bmc.handle(request))
        except NoAnswer:
            return None

    async def get(self, path=SYSTEM, headers=None):
        return await self.ask("GET", path, headers=headers)

    async def reset(self, kind):
        return await self.ask("POST", RESET, {"ResetType": kind})

    async def boot(self, headers=None, **values):
        boot = {f"BootSourceOverride{name}": value for name, value in values.items()}
        return await self.ask("PATCH", SYSTEM, {"Boot": boot}, basic() | (headers or {}))

    async def log_in(self, username=USER, password=PASSWORD):
        return await self.ask("POST", SESSIONS, {"UserName": username, "Password": password}, {})


def play(scene, dice=None):
    """Play a scene with who asks; the answer is who asked."""
    asking = Asking(dice)
    asyncio.run(scene(asking))
    return asking

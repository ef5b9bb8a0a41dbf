"""A virtual Redfish BMC: which request goes where, and what the dice make of the answer.

The service root is for everybody; all else wants BasicAuth or the token of a session. A connection that the dice lose
ends without an answer, before or after the request was served.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from lab.bmc.chassis import Button, Chassis
from lab.bmc.dice import Dice, Fault
from lab.bmc.ledger import Ledger
from lab.bmc.redfish import documents
from lab.bmc.redfish.answers import Document, Refused, busy, document, done, not_allowed, not_found, read_body
from lab.bmc.redfish.logins import SESSION_TIMEOUT_S, Logins
from lab.bmc.redfish.service import Service
from lab.bmc.redfish.systems import System
from lab.bmc.redfish.traits import Traits
from lab.holding import Hold
from lab.http import HttpServer, NoAnswer, Request, Response
from lab.omni.certificates import Certificate, server_context


class VirtualRedfishBmc:
    """One BMC with its own port.

    status_delay_s: latency that is added to every answer.

    Args:
        chassis: what it is wired to.
        machine_id: the UUID of its System.
        dice, ledger: what may go wrong, and what happened.
        certificate: of its TLS; None for plain HTTP.
    """

    def __init__(
        self,
        chassis: Chassis,
        machine_id: str,
        dice: Dice | None = None,
        ledger: Ledger | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.dice = dice or Dice()
        self.ledger = ledger or Ledger()
        self._service = Service(Traits(), self.dice, self.ledger)
        self.status_delay_s = 0.0
        self.host = ""
        self.port = 0
        self._uuid = machine_id
        self._certificate = certificate
        self._logins = Logins(self._service)
        self._systems: dict[str, System] = {}
        self.add_system(machine_id, chassis)
        self._server = HttpServer(self.handle, self._logins.gone)

    @property
    def traits(self) -> Traits:
        """What it is like; may be changed at any time."""
        return self._service.traits

    @property
    def calls(self) -> Counter[str]:
        """How often it was asked for `status` and for each button, and for what belongs to a session."""
        return self.ledger.calls

    def add_system(self, machine_id: str, chassis: Chassis, *, first: bool = False) -> System:
        """Have one more System, as a BMC of several machines has. first: list it before all others."""
        path = f"{documents.SYSTEMS}/{len(self._systems) + 1}"
        system = System(path, machine_id, chassis, self._service)
        self._systems = {path: system, **self._systems} if first else {**self._systems, path: system}
        return system

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port."""
        context = server_context(self._certificate, "http/1.1") if self._certificate else None
        self.host, self.port = host, await self._server.serve(host, port, context)
        return self.port

    async def stop(self) -> None:
        """Stop listening, and forget what was told and not done yet."""
        await self._server.stop()
        self._logins.stop()
        for system in self._systems.values():
            system.stop()

    def hold(self, button: Button, *, done: bool = False) -> Hold:
        """Hold such commands back: they have come in, and are not carried out yet. done: they are, but not answered."""
        held = Hold()
        for system in self._systems.values():
            system.holds[button, done] = held
        return held

    def set_login(self, username: str, password: str) -> None:
        """Make this user, or give it this password."""
        self._logins.set_user(username, password)

    def remove_login(self, username: str) -> None:
        """Let this user in no more."""
        self._logins.remove_user(username)

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises NoAnswer where the dice leave it without an answer."""
        lost = self.dice.falls(Fault.PACKET_LOSS)
        if lost and self.dice.coin():
            raise NoAnswer
        if self.status_delay_s:
            await asyncio.sleep(self.status_delay_s)
        try:
            answer = await self._answer(request)
        except Refused as refused:
            answer = refused.response
        if self.dice.falls(Fault.SLOW):
            await asyncio.sleep(self.dice.odds.slow_s)
        if lost:
            raise NoAnswer
        return answer

    async def _answer(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        method = "GET" if request.method == "HEAD" else request.method
        if public := self._public(path):
            if method != "GET":
                raise not_allowed("GET", "HEAD")
            return document(public)
        if method == "POST" and path == documents.SESSIONS:
            return self._log_in(request)
        self._logins.check(request)
        if self.dice.falls(Fault.BUSY):
            raise busy()
        if path.startswith(f"{documents.SESSIONS}/"):
            return self._session(method, path)
        if path.startswith(f"{documents.SYSTEMS}/"):
            return await self._system(method, path, request)
        found = self._document(path)
        if method != "GET":
            raise not_allowed("GET", "HEAD", *(["POST"] if path == documents.SESSIONS else []))
        return document(found)

    def _public(self, path: str) -> Document | None:
        """What is read without a login."""
        match path:
            case "/redfish":
                return documents.versions()
            case documents.ROOT:
                return documents.service_root(self._uuid, self.traits)
            case "/redfish/v1/odata":
                return documents.service_document()
        return None

    def _document(self, path: str) -> Document:
        """What the service has beside Systems and sessions. Raises Refused."""
        systems = list(self._systems)
        collections = {
            documents.SESSIONS: ("Session", self._logins.sessions),
            documents.SYSTEMS: ("ComputerSystem", systems),
            documents.MANAGERS: ("Manager", [documents.MANAGER]),
            documents.ALL_CHASSIS: ("Chassis", [documents.CHASSIS]),
        }
        if path in collections:
            return documents.collection(path, *collections[path])
        match path:
            case documents.SESSION_SERVICE:
                return documents.session_service(SESSION_TIMEOUT_S)
            case documents.MANAGER:
                return documents.manager(self._uuid, self.traits, systems)
            case documents.CHASSIS:
                powered_on = any(system.powered_on for system in self._systems.values())
                return documents.chassis(self.traits, systems, powered_on=powered_on)
        raise not_found(path[:100])

    def _log_in(self, request: Request) -> Response:
        self.ledger.called("login")
        asked = read_body(request.body)
        session = self._logins.open(asked.get("UserName"), asked.get("Password"))
        headers = {"X-Auth-Token": session.token, "Location": session.path}
        return document(documents.session(session.path, session.username), 201, headers)

    def _session(self, method: str, path: str) -> Response:
        session = self._logins.find(path)
        match method:
            case "GET":
                return document(documents.session(path, session.username))
            case "DELETE":
                self.ledger.called("logout")
                self._logins.close(session)
                return done()
        raise not_allowed("GET", "HEAD", "DELETE")

    async def _system(self, method: str, path: str, request: Request) -> Response:
        number, _, rest = path.removeprefix(f"{documents.SYSTEMS}/").partition("/")
        system = self._systems.get(f"{documents.SYSTEMS}/{number}")
        if system is None:
            raise not_found(path[:100])
        match method, rest:
            case "GET", "":
                return system.show()
            case "PATCH", "":
                return await system.change(request)
            case "GET", "ResetActionInfo":
                return document(documents.reset_action_info(system.path, self.traits))
            case "POST", "Actions/ComputerSystem.Reset":
                return await system.reset(request)
            case _, "":
                raise not_allowed("GET", "HEAD", "PATCH")
            case _, "ResetActionInfo":
                raise not_allowed("GET", "HEAD")
            case _, "Actions/ComputerSystem.Reset":
                raise not_allowed("POST")
        raise not_found(path[:100])

"""A small BMC that speaks Redfish as its test tells it to: resources as JSON, one reset, and hooks that misbehave."""

import base64
import json
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.machine.model import Ipmi
from config.settings import Settings
from workers.bmc.client import used_alone
from workers.bmc.redfish.session import open_redfish

MACHINE = "33221100-5544-7766-8899-aabbccddeeff"
SYSTEM = "/redfish/v1/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
USER, PASSWORD = "admin", "pässword"


@dataclass
class Answer:
    status: int = 200
    body: dict | list | bytes | None = None
    headers: dict = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False  # what was asked is done, and the connection ends without a word


@dataclass
class Asked:
    method: str
    path: str
    body: dict | None
    headers: dict

    def __str__(self):
        return f"{self.method} {self.path}"


def error(*messages, code="Base.1.8.GeneralError"):
    """An error in the shape of the standard; each message is an id, with words or without."""
    listed = [{"MessageId": message[0], "Message": message[1]} if len(message) == 2 else {"MessageId": message[0]}
              for message in messages]  # fmt: skip
    return {"error": {"code": code, "message": "See ExtendedInfo", "@Message.ExtendedInfo": listed}}


class RedfishMock:
    """One BMC on loopback, that counts what it was asked and what it has done.

    asked: each request. executed: each reset that was carried out. documents: the resources, by path.
    hooks: functions of a request; the first that answers something answers instead of the BMC.
    """

    def __init__(self, *, tls=None, types=("On", "ForceOff", "ForceRestart", "PowerCycle")):
        self.asked, self.executed, self.hooks, self.sessions = [], [], [], []
        self.connections = 0
        self.power = "Off"
        reset = {"target": RESET, "ResetType@Redfish.AllowableValues": list(types)} if types else {"target": RESET}
        boot = {
            "BootSourceOverrideEnabled": "Disabled",
            "BootSourceOverrideTarget": "None",
            "BootSourceOverrideMode": "UEFI",
        }
        self.documents = {
            "/redfish/v1/": {"RedfishVersion": "1.6.0", "Systems": {"@odata.id": "/redfish/v1/Systems"}},
            "/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}]},
            SYSTEM: {"Id": "1", "UUID": MACHINE, "Boot": boot, "Actions": {"#ComputerSystem.Reset": reset}},
        }
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(), bind_and_activate=True)
        self._server.daemon_threads = True
        if tls:
            context = tls if isinstance(tls, ssl.SSLContext) else served_with(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._tls = bool(tls)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self):
        for session in self.sessions:
            session.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def settings(self, **options):
        return Settings(redfish_port=self.port, redfish_use_https=self._tls, **options)

    def ipmi(self, password=PASSWORD):
        return Ipmi("127.0.0.1", 623, USER, password)

    def session(
        self,
        known=None,
        *,
        machine=MACHINE,
        matched=False,
        login_worked=False,
        password=PASSWORD,
        still_ours=used_alone,
        **options,
    ):
        """A session, which ends with the mock."""
        ipmi, settings = self.ipmi(password), self.settings(**options)
        opened = open_redfish(
            machine, ipmi, settings, known, matched=matched, login_worked=login_worked, still_ours=still_ours
        )
        self.sessions.append(opened)
        return opened

    def hook(self, function):
        self.hooks.append(function)

    def count(self, text):
        """How many requests begin so, as in `POST` or `GET /redfish/v1/`."""
        return sum(str(asked).startswith(text) for asked in self.asked)

    @property
    def boot(self):
        return self.documents[SYSTEM]["Boot"]

    def answer(self, asked):
        for hook in self.hooks:
            if (answer := hook(asked)) is not None:
                return answer
        if asked.path != "/redfish/v1/" and not self.is_login(asked):
            return Answer(401, error(("Base.1.8.NoValidSession", "who are you")))
        if asked.method == "GET":
            return self.show(asked.path)
        if asked.method == "POST" and asked.path == RESET:
            return self.reset(asked.body["ResetType"])
        if asked.method == "PATCH" and asked.path in self.documents:
            self.documents[asked.path]["Boot"].update(asked.body["Boot"])
            return Answer(204)
        return Answer(404, error(("Base.1.8.ResourceMissingAtURI",)))

    def show(self, path):
        if path not in self.documents:
            return Answer(404, error(("Base.1.8.ResourceMissingAtURI",)))
        document = self.documents[path]
        return Answer(body=document | ({"PowerState": self.power} if path == SYSTEM else {}))

    def reset(self, reset_type):
        self.executed.append(reset_type)
        self.power = "Off" if reset_type == "ForceOff" else "On"
        return Answer(204)

    def is_login(self, asked):
        return asked.headers.get("Authorization") == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def _handler(mock):  # noqa: N805  # the handler is the self of its own methods
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet

            def setup(self):
                mock.connections += 1
                with suppress(OSError):
                    super().setup()

            def handle(self):
                with suppress(OSError):
                    super().handle()

            def serve(self):
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                asked = Asked(self.command, self.path, body, dict(self.headers))
                mock.asked.append(asked)
                self.reply(mock.answer(asked))

            def reply(self, answer):
                time.sleep(answer.delay_s)
                if answer.cut:
                    self.close_connection = True
                    return
                content = answer.body
                if not isinstance(content, bytes):
                    content = json.dumps(content or {}, ensure_ascii=False).encode()
                content = b"" if answer.status == 204 else content
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.status != 204 and "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(content)

            do_GET = do_POST = do_PATCH = serve  # noqa: N815  # the names that http.server looks for

            def log_message(self, *_):
                pass

        return Handler


def served_with(files):
    """A context with this certificate and its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


def first(count, answer, match):
    """A hook: the first `count` requests that begin so are answered so."""
    left = [count]

    def hook(asked):
        if left[0] and str(asked).startswith(match):
            left[0] -= 1
            return answer
        return None

    return hook

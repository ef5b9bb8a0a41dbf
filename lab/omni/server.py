"""The stand-in Omni as a whole: state, rights, admin and gRPC server.

omni = StandInOmni("bare-metal")
port = await omni.serve("127.0.0.1", 0)
omni.accept(machine_id)
await omni.stop()          # the state is kept: serve(host, port) is Omni restarted
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import grpc
import grpc.aio

from app.omni.kinds import EPHEMERAL, SHARED, Kind
from app.omni.resource import Draft, blank
from lab.holding import Hold
from lab.omni.access import PROVIDER_LABEL, Access
from lab.omni.admin import Admin
from lab.omni.certificates import Certificate
from lab.omni.front import Front
from lab.omni.holds import Holds
from lab.omni.joining import Joining
from lab.omni.refusing import RefuseAll
from lab.omni.requested import Requested
from lab.omni.service import StateService
from lab.omni.signatures import Signatures
from lab.omni.signed_only import SignedOnly
from lab.omni.slow import Slow
from lab.omni.store import Observer, Place, Refused, Store
from protos.gen.cosi import state_pb2_grpc

MESSAGE_LIMIT_BYTES = 64 * 1024 * 1024
PING_INTERVAL_MS = 10_000
# How callers see it that a server shuts down while a stream is open.
STREAM_REMOVED = "Stream removed (Data frame with END_STREAM flag received)"


class StandInOmni(Admin):
    """An Omni with one provider registered. `calls` counts what the provider asked, by `Get InfraMachines`.

    signatures: calls must be signed with one of its keys; without, nobody is asked who they are.
    certificate: served from the next `serve` on; without, there is no TLS.
    old: it is of a version that has no ProviderJoinConfigs.
    delay_s: how long each call takes beyond what it needs.
    """

    def __init__(
        self,
        provider_id: str,
        *,
        signatures: Signatures | None = None,
        certificate: Certificate | None = None,
        old: bool = False,
        delay_s: float = 0.0,
    ) -> None:
        store = Store()
        super().__init__(provider_id, store)
        Requested(store)
        self.signatures = signatures
        self.certificate = certificate
        self.calls: Counter[str] = Counter()
        self._delay_s = delay_s
        self._service = StateService(store, Access(provider_id), self.calls)
        self._holds = Holds(provider_id)
        self._refuse_all = RefuseAll()
        self._server: grpc.aio.Server | None = None
        self._front: Front | None = None
        self.joining = Joining(store, provider_id, old=old)

    @property
    def refused(self) -> list[str]:
        """What was said of each call that a provider's role does not allow."""
        return self._service.refused

    async def serve(self, host: str, port: int) -> int:
        """Answer the provider at this address; port 0 takes a free one. The answer is the port."""
        # Without this a second server could listen at the same port and take half of the calls.
        options = (
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
            # A server of grpc's takes offence at pings that come more often than each five minutes.
            ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MS),
        )
        checks = [SignedOnly(self.signatures)] if self.signatures else []
        slow = [Slow(self._delay_s)] if self._delay_s else []
        server = grpc.aio.server(interceptors=[*checks, self._refuse_all, *slow, self._holds], options=options)
        state_pb2_grpc.add_StateServicer_to_server(self._service, server)
        plain = self.signatures is None and self.certificate is None
        bound = server.add_insecure_port(f"{host}:{port}" if plain else "127.0.0.1:0")
        await server.start()
        self._server = server
        return bound if plain else await self._serve_front(host, port, bound)

    async def stop(self) -> None:
        """Break off all calls and answer no more. What is not persistent is lost."""
        self._collector.stop()
        if self._front is not None:
            await self._front.stop()
            self._front = None
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None
        self._store.drop(EPHEMERAL)

    def join(self, machine_id: str, node_unique_token: str = "", *, join_token: str | None = None) -> bool:
        """A machine calls in; with a token that is not good any more it is not let in. None is good."""
        if join_token is not None and not self.joining.lets_in(join_token):
            return False
        return super().join(machine_id, node_unique_token)

    def put(self, kind: Kind, resource_id: str, edit: Callable[[Draft], None]) -> None:
        """Create a resource as its owner would, be that the provider or Omni itself."""
        draft = Draft(blank(kind, self.provider_id, resource_id))
        if kind.namespace(self.provider_id) in (SHARED, EPHEMERAL):
            draft.labels[PROVIDER_LABEL] = self.provider_id
        edit(draft)
        self._create(draft)

    def observe(self, place: Place, observer: Observer) -> None:
        """Have `observer` told of each change of a type from now on."""
        self._store.observe(place, observer)

    def fail_watches(self, words: str) -> None:
        """Report an error in every open watch, after which it says nothing more."""
        self._service.fail_watches(words)

    def end_watches(self, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN, words: str = STREAM_REMOVED) -> None:
        """End every open watch; as if Omni shut down, unless another status is given."""
        self._service.end_watches(Refused(code, words))

    def silence_watches(self, kind: Kind) -> None:
        """Let the open watches of a kind say nothing more, and stay open."""
        self._service.silence_watches(kind.type(self.provider_id))

    def silence_new_watches(self, *kinds: Kind) -> None:
        """Let new watches of these kinds, and of no others, say nothing: not even what there is."""
        self._service.silence_new_watches(*(kind.type(self.provider_id) for kind in kinds))

    def refuse_all(self, code: grpc.StatusCode, words: str) -> None:
        """Answer every call with this status from now on. Streams that are open go on, as Omni's do."""
        self._refuse_all.reason = Refused(code, words)

    def refuse_none(self) -> None:
        """Answer calls as usual."""
        self._refuse_all.reason = None

    def hold(self, method: str, kind: Kind, resource_id: str, *, done: bool = False) -> Hold:
        """Hold such calls back; done: they are carried out, and only not answered."""
        return self._holds.add(method, kind, resource_id, done=done)

    async def _serve_front(self, host: str, port: int, behind: int) -> int:
        self._front = Front(self.signatures.clock if self.signatures else time.time)
        return await self._front.serve(host, port, self.certificate, behind)

"""What our client sends, word for word: a server that answers at once keeps each request."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from app.omni.client import Omni
from app.omni.kinds import PICTURE_KINDS, Kind
from app.omni.resource import Resource, blank
from protos.gen.cosi import state_pb2, state_pb2_grpc
from protos.gen.provider import records_pb2

pytestmark = pytest.mark.integration

M = "5d8b1f0e-0000-4000-8000-000000000001"
OURS = "bm.MachineStatusController"


class Recorder(state_pb2_grpc.StateServicer):
    """Answers everything as done."""

    def __init__(self):
        self.requests = []

    def Create(self, request, context):  # noqa: N802 - named as on the wire
        self.requests.append(request)
        return state_pb2.CreateResponse(resource=request.resource)

    def Update(self, request, context):  # noqa: N802
        self.requests.append(request)
        return state_pb2.UpdateResponse(resource=request.new_resource)

    def Teardown(self, request, context):  # noqa: N802
        self.requests.append(request)
        return state_pb2.TeardownResponse(destroy_ready=True)

    def Destroy(self, request, context):  # noqa: N802
        self.requests.append(request)
        return state_pb2.DestroyResponse()

    def List(self, request, context):  # noqa: N802
        self.requests.append(request)
        return iter(())

    def Watch(self, request, context):  # noqa: N802
        self.requests.append(request)
        end = state_pb2.Event(event_type=state_pb2.BOOTSTRAPPED, resource=blank(Kind.WIPE_STATUS, "bm", "").raw)
        end.bookmark = b"\0\0\0\0\0\0\0\x07"
        yield state_pb2.WatchResponse()
        yield state_pb2.WatchResponse(event=[end])


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def omni(recorder):
    server = grpc.server(ThreadPoolExecutor(2))
    state_pb2_grpc.add_StateServicer_to_server(recorder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Omni(f"http://127.0.0.1:{port}", "bm") as client:
        yield client
    server.stop(grace=None).wait()


def stored(kind, *, owner="", version="3", phase="running", finalizers=()):
    """A copy as it was read before."""
    raw = blank(kind, "bm", M).raw
    raw.metadata.owner, raw.metadata.version, raw.metadata.phase = owner, version, phase
    raw.metadata.labels["theirs"] = "kept"
    raw.metadata.annotations["note"] = "kept"
    raw.metadata.finalizers.extend(finalizers)
    return Resource(kind, raw)


@pytest.mark.parametrize("kind", PICTURE_KINDS, ids=lambda kind: kind.value)
def test_watch_asks_for_all_there_is_and_never_from_a_bookmark_on(omni, recorder, kind):
    for _ in range(2):  # the first one is told a bookmark
        with omni.watch(kind) as watch:
            next(watch)
    wanted = state_pb2.WatchRequest(
        namespace=kind.namespace("bm"),
        type=kind.type("bm"),
        options=state_pb2.WatchOptions(bootstrap_contents=True, bootstrap_bookmark=True, aggregated=True),
        api_version=1,
    )
    assert recorder.requests == [wanted, wanted]


def test_list_asks_without_a_query(omni, recorder):
    omni.list(Kind.INFRA_MACHINE)
    [request] = recorder.requests
    assert (request.namespace, request.type) == ("infra-provider", "InfraMachines.omni.sidero.dev")
    assert request.options == state_pb2.ListOptions()


@pytest.mark.parametrize("kind", [Kind.WIPE_STATUS, Kind.INFRA_MACHINE_STATUS, Kind.PROVIDER_STATUS, Kind.TLS_CONFIG])
def test_create_sends_no_version_a_spec_both_times_and_the_owner_in_the_options_only(omni, recorder, kind):
    omni.create(kind, M)
    [request] = recorder.requests
    metadata = request.resource.metadata
    assert (metadata.version, metadata.phase, metadata.owner) == ("undefined", "running", "")
    assert request.options.owner == kind.owner("bm")
    assert request.resource.HasField("spec")
    assert request.resource.spec == state_pb2.Spec()
    assert metadata.created == metadata.updated
    assert abs(metadata.created.seconds - time.time()) < 60


def test_update_sends_the_whole_resource_with_its_version_owner_and_phase(omni, recorder):
    known = stored(Kind.WIPE_STATUS, owner="theirs", finalizers=("f",))
    omni.update(Kind.WIPE_STATUS, M, lambda draft: setattr(draft.spec, "last_wipe_id", "w"), known=known)
    [request] = recorder.requests
    wanted = state_pb2.Resource.FromString(known.dump())
    wanted.spec.proto_spec = records_pb2.WipeStatusSpec(last_wipe_id="w").SerializeToString()
    assert request.new_resource == wanted
    assert request.options == state_pb2.UpdateOptions(owner="theirs", expected_phase="running")


def test_finalizer_is_put_on_in_phase_running_only_and_as_the_owner(omni, recorder):
    omni.add_finalizer(Kind.INFRA_MACHINE, M, known=stored(Kind.INFRA_MACHINE, owner="InfraMachineController"))
    [request] = recorder.requests
    assert list(request.new_resource.metadata.finalizers) == [OURS]
    assert request.options == state_pb2.UpdateOptions(owner="InfraMachineController", expected_phase="running")


def test_finalizers_are_taken_off_in_any_phase_and_as_the_owner(omni, recorder):
    known = stored(
        Kind.INFRA_MACHINE, owner="InfraMachineController", phase="tearingDown", finalizers=(OURS, "else", "bm.X")
    )
    omni.remove_finalizers(Kind.INFRA_MACHINE, M, known=known)
    [request] = recorder.requests
    assert list(request.new_resource.metadata.finalizers) == ["else"]
    assert request.new_resource.metadata.phase == "tearingDown"
    assert request.options == state_pb2.UpdateOptions(owner="InfraMachineController")


def test_removal_is_a_teardown_and_then_a_destroy_as_the_owner(omni, recorder):
    omni.remove(Kind.WIPE_STATUS, M)
    place = {"namespace": "infra-provider:bm", "type": "WipeStatus.bm.infraprovider.sidero.dev", "id": M}
    owner = "bm.WipeStatusController"
    assert recorder.requests == [
        state_pb2.TeardownRequest(**place, options=state_pb2.TeardownOptions(owner=owner)),
        state_pb2.DestroyRequest(**place, options=state_pb2.DestroyOptions(owner=owner)),
    ]

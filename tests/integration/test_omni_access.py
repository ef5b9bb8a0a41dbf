"""The stand-in Omni over the wire, asked for what a provider may not do: it answers as a real one."""

import grpc
import pytest

from app.omni.kinds import EPHEMERAL, SHARED, Kind
from app.omni.resource import blank
from lab.omni.access import PROVIDER_LABEL
from lab.omni.thread import OmniThread
from protos.gen.cosi import state_pb2, state_pb2_grpc

pytestmark = pytest.mark.integration

CODE = grpc.StatusCode
M = "5d8b1f0e-0000-4000-8000-000000000001"
OWN = "infra-provider:bm"
THEIRS = "5d8b1f0e-0000-4000-8000-00000000000f"
FINALIZERS_ONLY = ("InfraMachines", "InfraMachineRegistrations", "BMCConfigs", "ProviderJoinConfigs", "MachineRequests")
ALL = ("Get", "List", "Watch", "Create", "Update", "Teardown", "Destroy")


@pytest.fixture(scope="module")
def server():
    with OmniThread("bm") as started:
        started.do(lambda omni: omni.join(M))
        started.do(lambda omni: omni.put(Kind.INFRA_MACHINE, THEIRS, label_of_another))
        yield started


def label_of_another(draft):
    draft.labels[PROVIDER_LABEL] = "other"


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.endpoint.removeprefix("http://")) as channel:
        yield state_pb2_grpc.StateStub(channel)


class Call:
    """One call of each method about one resource; `code` is what it ends with."""

    def __init__(self, stub, namespace, type_, resource_id="x"):
        self._stub = stub
        self._at = {"namespace": namespace, "type": type_}
        self._id = resource_id

    def code(self, method):
        try:
            getattr(self, method.lower())()
        except grpc.RpcError as error:
            return error.code()
        return CODE.OK

    def get(self):
        return self._stub.Get(state_pb2.GetRequest(**self._at, id=self._id), timeout=5)

    def list(self):
        return list(self._stub.List(state_pb2.ListRequest(**self._at), timeout=5))

    def watch(self):
        call = self._stub.Watch(state_pb2.WatchRequest(**self._at, api_version=1), timeout=5)
        try:
            next(call)
        finally:
            call.cancel()

    def create(self):
        self._stub.Create(state_pb2.CreateRequest(resource=self._resource()), timeout=5)

    def update(self):
        self._stub.Update(state_pb2.UpdateRequest(new_resource=self._resource()), timeout=5)

    def teardown(self):
        self._stub.Teardown(state_pb2.TeardownRequest(**self._at, id=self._id), timeout=5)

    def destroy(self):
        self._stub.Destroy(state_pb2.DestroyRequest(**self._at, id=self._id), timeout=5)

    def _resource(self):
        resource = blank(Kind.WIPE_STATUS, "bm", self._id).raw
        resource.metadata.namespace, resource.metadata.type = self._at["namespace"], self._at["type"]
        return resource


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("name", ["Links", "InfraMachineBMCConfigs", "JoinTokens", "Users", "NodeUniqueTokens"])
def test_type_that_is_not_for_providers_is_refused_whatever_is_asked(stub, name, method):
    assert Call(stub, "default", f"{name}.omni.sidero.dev").code(method) is CODE.PERMISSION_DENIED


@pytest.mark.parametrize("method", ALL)
def test_namespace_of_another_provider_is_refused_whatever_is_asked(stub, method):
    place = ("infra-provider:other", "WipeStatus.other.infraprovider.sidero.dev")
    assert Call(stub, *place).code(method) is CODE.PERMISSION_DENIED


@pytest.mark.parametrize("method", ALL)
def test_type_of_another_name_in_the_own_namespace_is_a_wrong_request(stub, method):
    assert Call(stub, OWN, "WipeStatus.other.infraprovider.sidero.dev").code(method) is CODE.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("Get", CODE.NOT_FOUND),
        ("List", CODE.OK),
        ("Watch", CODE.OK),
        ("Create", CODE.ALREADY_EXISTS),
        ("Update", CODE.NOT_FOUND),
        ("Teardown", CODE.NOT_FOUND),
        ("Destroy", CODE.NOT_FOUND),
    ],
)
def test_infra_providers_are_there_and_not_seen(stub, method, code):
    call = Call(stub, SHARED, "InfraProviders.omni.sidero.dev", "bm")
    assert call.code(method) is code
    assert call.list() == []


@pytest.mark.parametrize(
    ("method", "code"),
    [("Get", CODE.NOT_FOUND), ("Update", CODE.NOT_FOUND), ("Teardown", CODE.PERMISSION_DENIED)],
)
def test_machine_of_another_provider_is_not_seen(stub, method, code):
    call = Call(stub, SHARED, "InfraMachines.omni.sidero.dev", THEIRS)
    assert call.code(method) is code
    assert THEIRS not in {response.resource.metadata.id for response in call.list()}


def test_id_that_another_provider_has_taken_exists(server, stub):
    server.do(lambda omni: omni.put(Kind.INFRA_MACHINE_STATUS, THEIRS, label_of_another))
    call = Call(stub, SHARED, "InfraMachineStatuses.omni.sidero.dev", THEIRS)
    assert [call.code(method) for method in ("Create", "Get", "Destroy")] == [
        CODE.ALREADY_EXISTS,
        CODE.NOT_FOUND,
        CODE.NOT_FOUND,
    ]


@pytest.mark.parametrize(
    ("namespace", "name"), [(SHARED, "InfraProviderStatuses"), (EPHEMERAL, "InfraProviderHealthStatuses")]
)
def test_status_under_another_id_than_the_providers_is_a_wrong_request(stub, namespace, name):
    assert Call(stub, namespace, f"{name}.omni.sidero.dev", "other").code("Create") is CODE.INVALID_ARGUMENT


def test_label_of_the_provider_is_put_back_whatever_is_sent(stub):
    call = Call(stub, SHARED, "InfraMachineStatuses.omni.sidero.dev", M)
    call.create()
    resource = call.get().resource
    assert dict(resource.metadata.labels) == {PROVIDER_LABEL: "bm"}
    resource.metadata.labels[PROVIDER_LABEL] = "other"
    stub.Update(state_pb2.UpdateRequest(new_resource=resource), timeout=5)
    assert dict(call.get().resource.metadata.labels) == {PROVIDER_LABEL: "bm"}


def test_label_of_the_provider_is_not_put_where_all_is_its_own(stub):
    call = Call(stub, OWN, Kind.WIPE_STATUS.type("bm"), M)
    call.create()
    assert dict(call.get().resource.metadata.labels) == {}


@pytest.fixture
def omnis(server):
    """Make a resource as a controller of Omni's has it; the answer is its raw copy."""

    def make(name, resource_id):
        raw = blank(Kind.WIPE_STATUS, "bm", resource_id).raw
        raw.metadata.namespace, raw.metadata.type = SHARED, f"{name}.omni.sidero.dev"
        raw.metadata.labels[PROVIDER_LABEL] = "bm"
        return server.do(lambda omni: omni._store.create(raw, "SomeController"))

    return make


def sent(stub, raw, *, owner):
    request = state_pb2.UpdateRequest(new_resource=raw, options=state_pb2.UpdateOptions(owner=owner))
    return stub.Update(request, timeout=5).resource


@pytest.mark.parametrize("name", FINALIZERS_ONLY)
def test_finalizer_on_what_is_omnis_is_taken_as_its_owner_only(server, stub, omnis, name):
    raw = state_pb2.Resource.FromString(omnis(name, "held").SerializeToString())
    raw.metadata.finalizers.append("bm.X")
    refused = len(server.do(lambda omni: omni.refused))
    with pytest.raises(grpc.RpcError) as caught:
        sent(stub, raw, owner="bm.X")
    assert (caught.value.code(), "is owned by" in caught.value.details()) == (CODE.PERMISSION_DENIED, True)
    assert len(server.do(lambda omni: omni.refused)) == refused
    assert list(sent(stub, raw, owner="SomeController").metadata.finalizers) == ["bm.X"]


@pytest.mark.parametrize("name", FINALIZERS_ONLY)
def test_what_is_omnis_is_read_and_neither_made_nor_removed(stub, omnis, name):
    omnis(name, "read")
    call = Call(stub, SHARED, f"{name}.omni.sidero.dev", "read")
    assert [call.code(method) for method in ("Get", "List", "Watch")] == [CODE.OK] * 3
    assert [call.code(method) for method in ("Create", "Teardown", "Destroy")] == [CODE.PERMISSION_DENIED] * 3


@pytest.mark.parametrize(
    "place",
    [
        ("default", "Machines.omni.sidero.dev"),
        ("default", "ConnectionParams.omni.sidero.dev"),
        ("default", "SiderolinkAPIConfigs.omni.sidero.dev"),
        ("default", "FeaturesConfigs.omni.sidero.dev"),
        ("meta", "ResourceDefinitions.meta.cosi.dev"),
        ("meta", "Namespaces.meta.cosi.dev"),
        ("ephemeral", "SysVersions.system.sidero.dev"),
    ],
    ids=lambda place: place[1],
)
def test_what_omni_says_of_itself_is_read_and_never_changed(stub, place):
    call = Call(stub, *place, "missing")
    assert [call.code(method) for method in ("Get", "List", "Watch")] == [CODE.NOT_FOUND, CODE.OK, CODE.OK]
    changes = ("Create", "Update", "Teardown", "Destroy")
    assert [call.code(method) for method in changes] == [CODE.PERMISSION_DENIED] * 4


@pytest.mark.parametrize("name", ["MachineRequestStatuses", "ConfigPatchRequests"])
def test_what_is_asked_of_omni_is_destroyed_after_its_teardown_only(stub, name):
    call = Call(stub, SHARED, f"{name}.omni.sidero.dev")
    assert [call.code(method) for method in ("Create", "Destroy", "Teardown", "Destroy", "Get")] == [
        CODE.OK,
        CODE.FAILED_PRECONDITION,
        CODE.OK,
        CODE.OK,
        CODE.NOT_FOUND,
    ]


def test_what_omni_makes_up_for_whoever_asks_is_not_watched(stub):
    assert Call(stub, "virtual", "CurrentUsers.omni.sidero.dev").code("Watch") is CODE.UNIMPLEMENTED


# Watches


def watching(stub, place, *, resource_id=None, **options):
    """Begin a watch, and take its first message, which is empty."""
    request = state_pb2.WatchRequest(**place, id=resource_id, options=state_pb2.WatchOptions(**options), api_version=1)
    call = stub.Watch(request, timeout=5)
    assert list(next(call).event) == []
    return call


def place_of(kind):
    return {"namespace": kind.namespace("bm"), "type": kind.type("bm")}


def test_watch_of_one_that_is_missing_says_nothing_in_the_shared_namespaces(stub, server):
    other = watching(stub, place_of(Kind.WIPE_STATUS), resource_id="missing")
    [tombstone] = next(other).event
    assert (tombstone.event_type, tombstone.resource.metadata.version) == (state_pb2.DESTROYED, "undefined")
    other.cancel()
    call = watching(stub, place_of(Kind.INFRA_MACHINE_STATUS), resource_id="late")
    Call(stub, SHARED, Kind.INFRA_MACHINE_STATUS.type("bm"), "late").create()
    [first] = next(call).event
    assert (first.event_type, first.resource.metadata.id) == (state_pb2.CREATED, "late")
    call.cancel()


def test_resource_that_passes_to_another_provider_is_dropped_without_a_word(stub, server, omnis):
    raw = state_pb2.Resource.FromString(omnis("InfraMachines", "passed").SerializeToString())
    call = watching(stub, place_of(Kind.INFRA_MACHINE), aggregated=True)
    raw.metadata.labels[PROVIDER_LABEL] = "other"
    server.do(lambda omni: omni._store.update(raw, "SomeController"))
    assert list(next(call).event) == []
    call.cancel()
    assert Call(stub, SHARED, raw.metadata.type, "passed").code("Get") is CODE.NOT_FOUND


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"tail_events": 1}, CODE.UNKNOWN),
        ({"bootstrap_contents": True, "start_from_bookmark": b"\0" * 8}, CODE.UNKNOWN),
        ({"start_from_bookmark": b"short"}, CODE.FAILED_PRECONDITION),
        ({"resource_id": M, "bootstrap_contents": True}, CODE.UNIMPLEMENTED),
        ({"resource_id": M, "label_query": [state_pb2.LabelQuery()]}, CODE.UNIMPLEMENTED),
    ],
)
def test_watch_with_options_that_omni_does_not_take_is_refused(stub, options, code):
    with pytest.raises(grpc.RpcError) as caught:
        watching(stub, place_of(Kind.INFRA_MACHINE), **options)
    assert caught.value.code() is code


# What is counted


def test_refusals_of_the_role_are_counted_and_nothing_else(server, stub):
    before = len(server.do(lambda omni: omni.refused))
    Call(stub, SHARED, "InfraProviders.omni.sidero.dev", "bm").code("Get")
    assert len(server.do(lambda omni: omni.refused)) == before
    Call(stub, "default", "Links.omni.sidero.dev").code("List")
    assert "insufficient role" in server.do(lambda omni: omni.refused)[-1]

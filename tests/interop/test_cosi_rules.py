"""What the COSI runtime itself answers to each kind of request, and that we take it for what it is.

The requests here are made by hand, also those that our client never makes: its behaviour rests on the answers.
"""

import grpc
import pytest

from app.omni.errors import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    OwnerConflict,
    PendingFinalizers,
    PhaseConflict,
    WatchEnded,
)
from app.omni.kinds import Kind
from app.omni.resource import blank
from app.omni.status import error_for
from protos.gen.cosi import state_pb2
from protos.gen.cosi.state_pb2_grpc import StateStub
from tests.interop.go_omni import PROVIDER, place

pytestmark = pytest.mark.interop

ID = "5d8b1f0e-0000-4000-8000-000000000001"
WIPE = Kind.WIPE_STATUS
LIMIT_S = 10


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server.endpoint.removeprefix("http://")) as channel:
        yield StateStub(channel)


def resource(**metadata):
    """A resource as we would create it, with other metadata where given."""
    raw = blank(WIPE, PROVIDER, ID).raw
    for name, value in metadata.items():
        if name in ("labels", "annotations"):
            getattr(raw.metadata, name).update(value)
        elif name == "finalizers":
            raw.metadata.finalizers.extend(value)
        else:
            setattr(raw.metadata, name, value)
    return raw


def create(stub, raw=None, *, owner=""):
    request = state_pb2.CreateRequest(resource=raw or resource(), options=state_pb2.CreateOptions(owner=owner))
    return stub.Create(request, timeout=LIMIT_S).resource


def update(stub, raw, *, owner="", expected_phase=None):
    options = state_pb2.UpdateOptions(owner=owner, expected_phase=expected_phase)
    return stub.Update(state_pb2.UpdateRequest(new_resource=raw, options=options), timeout=LIMIT_S).resource


def teardown(stub, *, owner="", resource_id=ID):
    options = state_pb2.TeardownOptions(owner=owner)
    request = state_pb2.TeardownRequest(**place(WIPE), id=resource_id, options=options)
    return stub.Teardown(request, timeout=LIMIT_S).destroy_ready


def destroy(stub, *, owner="", resource_id=ID):
    options = state_pb2.DestroyOptions(owner=owner)
    stub.Destroy(state_pb2.DestroyRequest(**place(WIPE), id=resource_id, options=options), timeout=LIMIT_S)


def get(stub):
    return stub.Get(state_pb2.GetRequest(**place(WIPE), id=ID), timeout=LIMIT_S).resource


def refused(method, kind, words, call):
    """That a call is refused with these words, and that we take it as an error of this very class."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = error_for(method, caught.value.code(), caught.value.details())
    assert type(error) is kind, (caught.value.code(), caught.value.details())
    assert words in error.words
    assert not [key for key, _ in caught.value.trailing_metadata() if "status-details" in key]
    return error


# Create


@pytest.mark.parametrize("version", ["undefined", "0", "1", "7"])
def test_create_with_any_version_is_stored_as_the_first(stub, version):
    assert create(stub, resource(version=version)).metadata.version == "1"
    assert get(stub).metadata.version == "1"


@pytest.mark.parametrize("version", ["", "x"])
def test_create_with_a_version_that_is_none_is_a_wrong_request(stub, version):
    refused("Create", InvalidRequest, "error parsing version", lambda: create(stub, resource(version=version)))


def test_create_of_what_exists_is_told(stub):
    create(stub)
    refused("Create", AlreadyExists, "already exists", lambda: create(stub))


def test_create_keeps_what_was_sent(stub):
    sent = resource(labels={"a": "b"}, annotations={"c": "d"}, finalizers=["bm.X", "y"], phase="tearingDown")
    create(stub, sent)
    stored = get(stub).metadata
    assert dict(stored.labels) == {"a": "b"}
    assert dict(stored.annotations) == {"c": "d"}
    assert list(stored.finalizers) == ["bm.X", "y"]
    assert stored.phase == "tearingDown"
    assert stored.updated == sent.metadata.updated
    assert stored.created.seconds >= sent.metadata.created.seconds


def test_create_gives_the_owner_of_the_options(stub):
    assert create(stub, owner="bm.X").metadata.owner == "bm.X"


@pytest.mark.parametrize("owner", ["", "other"])
def test_create_with_an_owner_in_the_metadata_alone_is_refused(stub, owner):
    raw = resource(owner="bm.X")
    refused("Create", InvalidRequest, "owner is already set", lambda: create(stub, raw, owner=owner))


def test_spec_must_be_there_even_if_empty(stub):
    raw = resource()
    raw.ClearField("spec")
    refused("Create", InvalidRequest, "spec is missing", lambda: create(stub, raw))


def test_yaml_of_a_type_that_the_server_does_not_know_is_kept_as_sent(stub):
    raw = resource()
    raw.spec.proto_spec, raw.spec.yaml_spec = b"\x0a\x01x", "lastwipeid: x\n"
    create(stub, raw)
    assert (get(stub).spec.proto_spec, get(stub).spec.yaml_spec) == (b"\x0a\x01x", "lastwipeid: x\n")


def test_phase_that_is_none_is_a_wrong_request(stub):
    refused("Create", InvalidRequest, "unknown phase", lambda: create(stub, resource(phase="flying")))


# Update


def test_update_raises_the_version_by_one_even_if_nothing_changed(stub):
    create(stub)
    assert update(stub, get(stub)).metadata.version == "2"
    assert update(stub, get(stub)).metadata.version == "3"


@pytest.mark.parametrize("version", ["1", "3", "undefined"])
def test_update_of_any_other_version_is_a_conflict(stub, version):
    create(stub)
    raw = update(stub, get(stub))
    raw.metadata.version = version
    refused("Update", Conflict, "update conflict", lambda: update(stub, raw))


def test_update_without_a_version_is_a_wrong_request(stub):
    raw = create(stub)
    raw.metadata.version = ""
    refused("Update", InvalidRequest, "error parsing version", lambda: update(stub, raw))


@pytest.mark.parametrize("owner", ["", "other"])
def test_update_as_somebody_else_is_an_owner_conflict(stub, owner):
    raw = create(stub, owner="bm.X")
    refused("Update", OwnerConflict, 'is owned by "bm.X"', lambda: update(stub, raw, owner=owner))


def test_update_of_a_resource_without_owner_as_an_owner_is_a_conflict_too(stub):
    raw = create(stub)
    refused("Update", OwnerConflict, "is owned by", lambda: update(stub, raw, owner="bm.X"))


def test_update_in_another_phase_than_expected_is_a_phase_conflict(stub):
    create(stub)
    teardown(stub)
    raw = get(stub)
    refused("Update", PhaseConflict, "is not in phase running", lambda: update(stub, raw, expected_phase="running"))
    assert update(stub, raw, expected_phase="tearingDown").metadata.version == "3"
    assert update(stub, get(stub)).metadata.version == "4"


def test_expected_phase_that_is_none_is_a_wrong_request(stub):
    raw = create(stub)
    refused("Update", InvalidRequest, "unknown phase", lambda: update(stub, raw, expected_phase="flying"))


def test_update_of_what_is_missing_is_told(stub):
    refused("Update", NotFound, "doesn't exist", lambda: update(stub, resource(version="1")))


def test_server_does_not_protect_the_order_of_phases(stub):
    raw = create(stub)
    raw.metadata.phase = "tearingDown"
    raw = update(stub, raw)
    raw.metadata.finalizers.append("late")
    raw.metadata.phase = "running"
    assert update(stub, raw).metadata.phase == "running"


def test_server_takes_a_finalizer_on_what_is_tearing_down(stub):
    create(stub)
    assert teardown(stub)
    raw = get(stub)
    raw.metadata.finalizers.append("late")
    assert list(update(stub, raw).metadata.finalizers) == ["late"]
    refused("Destroy", PendingFinalizers, "finalizers", lambda: destroy(stub))


def test_update_that_leaves_labels_and_finalizers_out_removes_them(stub):
    raw = create(stub, resource(labels={"a": "b"}, annotations={"c": "d"}, finalizers=["f"]))
    for name in ("labels", "annotations", "finalizers"):
        raw.metadata.ClearField(name)
    update(stub, raw)
    left = get(stub).metadata
    assert (dict(left.labels), dict(left.annotations), list(left.finalizers)) == ({}, {}, [])


def test_time_that_was_not_sent_reads_as_long_ago(stub):
    raw = resource()
    raw.metadata.ClearField("updated")
    create(stub, raw)
    stored = get(stub).metadata
    assert stored.updated.seconds <= 0 < stored.created.seconds


def test_update_without_a_spec_is_a_wrong_request(stub):
    raw = create(stub)
    raw.ClearField("spec")
    refused("Update", InvalidRequest, "spec is missing", lambda: update(stub, raw))


def test_update_sets_the_time_and_keeps_the_one_of_creation(stub):
    raw = create(stub)
    created = raw.metadata.created.ToNanoseconds()
    raw.metadata.updated.FromSeconds(5)
    stored = update(stub, raw).metadata
    assert stored.created.ToNanoseconds() == created
    assert stored.updated.ToNanoseconds() >= created


# Teardown and Destroy


def test_destroy_with_a_finalizer_is_pending(stub):
    create(stub, resource(finalizers=["f"]))
    refused("Destroy", PendingFinalizers, "finalizers", lambda: destroy(stub))


def test_destroy_needs_no_teardown(stub):
    create(stub)
    destroy(stub)
    with pytest.raises(grpc.RpcError) as caught:
        get(stub)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_teardown_says_whether_nobody_holds_it_and_may_be_repeated(stub):
    create(stub, resource(finalizers=["f"]))
    assert not teardown(stub)
    assert get(stub).metadata.version == "2"
    assert not teardown(stub)
    raw = get(stub)
    assert (raw.metadata.version, raw.metadata.phase) == ("2", "tearingDown")
    raw.metadata.ClearField("finalizers")
    update(stub, raw)
    assert teardown(stub)


@pytest.mark.parametrize(("method", "call"), [("Destroy", destroy), ("Teardown", teardown)])
def test_removal_by_somebody_else_is_an_owner_conflict(stub, method, call):
    create(stub, owner="bm.X")
    refused(method, OwnerConflict, 'is owned by "bm.X"', lambda: call(stub, owner="other"))


@pytest.mark.parametrize(("method", "call"), [("Destroy", destroy), ("Teardown", teardown)])
def test_removal_of_what_is_missing_is_told(stub, method, call):
    refused(method, NotFound, "doesn't exist", lambda: call(stub))


def test_teardown_and_destroy_waits_for_the_last_finalizer(stub):
    create(stub, resource(finalizers=["f"]))
    request = state_pb2.TeardownAndDestroyRequest(**place(WIPE), id=ID)
    waiting = stub.TeardownAndDestroy.future(request, timeout=LIMIT_S)
    with pytest.raises(grpc.FutureTimeoutError):
        waiting.result(0.3)
    raw = get(stub)
    assert raw.metadata.phase == "tearingDown"
    raw.metadata.ClearField("finalizers")
    update(stub, raw)
    waiting.result(LIMIT_S)
    with pytest.raises(grpc.RpcError):
        get(stub)


# Lists


def test_list_selects_by_labels_and_ids(stub):
    for resource_id, labels in (("a-1", {"rack": "r1", "gpu": ""}), ("a-2", {"rack": "r2"}), ("b-1", {})):
        raw = resource(id=resource_id, labels=labels)
        create(stub, raw)
    term, operation = state_pb2.LabelTerm, state_pb2.LabelTerm

    def ids(*terms, queries=(), **more):
        query = [state_pb2.LabelQuery(terms=each) for each in (terms, *queries) if each]
        options = state_pb2.ListOptions(label_query=query, **more)
        request = state_pb2.ListRequest(**place(WIPE), options=options)
        return [answer.resource.metadata.id for answer in stub.List(request, timeout=LIMIT_S)]

    assert ids() == ["a-1", "a-2", "b-1"]
    assert ids(term(key="rack", op=operation.EXISTS)) == ["a-1", "a-2"]
    assert ids(term(key="rack", op=operation.EXISTS, invert=True)) == ["b-1"]
    assert ids(term(key="rack", op=operation.EQUAL, value=["r2"])) == ["a-2"]
    assert ids(term(key="rack", op=operation.EQUAL, value=["r2"], invert=True)) == ["a-1", "b-1"]
    assert ids(term(key="rack", op=operation.IN, value=["r1", "r2"]), term(key="gpu")) == ["a-1"]
    rack_2, nothing = term(key="rack", op=operation.EQUAL, value=["r2"]), term(key="rack", invert=True)
    assert ids(rack_2, queries=[[nothing]]) == ["a-2", "b-1"]
    assert ids(rack_2, nothing) == []
    assert ids(id_query=state_pb2.IDQuery(regexp="^a-")) == ["a-1", "a-2"]


def test_list_of_a_type_that_nothing_has_is_empty(stub):
    assert list(stub.List(state_pb2.ListRequest(namespace="n", type="T"), timeout=LIMIT_S)) == []


# Watches that are refused


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"bootstrap_contents": True, "start_from_bookmark": b"\0" * 16}, "UNKNOWN"),
        ({"start_from_bookmark": b"short"}, "FAILED_PRECONDITION"),
        ({"start_from_bookmark": b"\0" * 16}, "FAILED_PRECONDITION"),
    ],
)
def test_watch_that_is_refused_is_one_to_begin_anew(stub, options, code):
    request = state_pb2.WatchRequest(**place(WIPE), options=state_pb2.WatchOptions(**options), api_version=1)
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.Watch(request, timeout=LIMIT_S))
    assert caught.value.code() is grpc.StatusCode[code]
    assert type(error_for("Watch", caught.value.code(), caught.value.details())) is WatchEnded


@pytest.mark.parametrize("options", [{"bootstrap_contents": True}, {"label_query": [state_pb2.LabelQuery()]}])
def test_watch_of_one_resource_takes_no_options_of_a_kind(stub, options):
    request = state_pb2.WatchRequest(**place(WIPE), id=ID, options=state_pb2.WatchOptions(**options), api_version=1)
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.Watch(request, timeout=LIMIT_S))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

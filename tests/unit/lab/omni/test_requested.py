import grpc
import pytest

from lab.omni.requested import FINALIZER, HELD, Requested
from lab.omni.store import Refused, Store
from protos.gen.cosi import state_pb2

ID = "r1"


@pytest.fixture
def store():
    made = Store()
    Requested(made)
    return made


def _create(store, place, *finalizers):
    metadata = state_pb2.Metadata(namespace=place.namespace, type=place.type, id=ID, version="1", phase="running")
    metadata.finalizers.extend(finalizers)
    store.create(state_pb2.Resource(metadata=metadata, spec=state_pb2.Spec()), "bm.X")


@pytest.mark.parametrize("place", HELD, ids=lambda place: place.type)
def test_what_is_asked_is_held_until_its_teardown(store, place):
    _create(store, place)
    assert list(store.get(place, ID).metadata.finalizers) == [FINALIZER]
    with pytest.raises(Refused) as caught:
        store.destroy(place, ID, "bm.X")
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert not store.teardown(place, ID, "bm.X")
    assert store.teardown(place, ID, "bm.X")
    store.destroy(place, ID, "bm.X")
    assert store.list(place) == []


def test_finalizers_of_others_stay(store):
    _create(store, HELD[0], "bm.X")
    store.teardown(HELD[0], ID, "bm.X")
    assert list(store.get(HELD[0], ID).metadata.finalizers) == ["bm.X"]


def test_finalizer_that_a_provider_takes_off_is_put_back(store):
    _create(store, HELD[0])
    raw = state_pb2.Resource()
    raw.CopyFrom(store.get(HELD[0], ID))
    raw.metadata.ClearField("finalizers")
    store.update(raw, "bm.X")
    assert list(store.get(HELD[0], ID).metadata.finalizers) == [FINALIZER]

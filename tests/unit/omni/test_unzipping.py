import gzip

from app.omni.unzipping import UnzippingChannel, unzipped
from protos.gen.cosi import state_pb2
from protos.gen.cosi.state_pb2_grpc import StateStub

ANSWER = state_pb2.GetResponse()
ANSWER.resource.metadata.id = "m1"


def test_answer_is_the_same_packed_or_not():
    parse = unzipped(state_pb2.GetResponse.FromString)
    data = ANSWER.SerializeToString()
    assert parse(data) == parse(gzip.compress(data)) == ANSWER
    assert parse(b"") == state_pb2.GetResponse()


def test_no_message_begins_as_gzip_does():
    wire_type = 0x1F & 0b111
    assert wire_type not in range(6)


def test_all_answers_of_a_stub_are_unpacked():
    given = {}

    class Channel:
        def unary_unary(self, method, *, response_deserializer, **_):
            given[method] = response_deserializer

        unary_stream = unary_unary

    StateStub(UnzippingChannel(Channel()))
    assert len(given) == 8
    packed = gzip.compress(ANSWER.SerializeToString())
    assert given["/cosi.resource.State/Get"](packed) == ANSWER
    assert given["/cosi.resource.State/List"](gzip.compress(b"")) == state_pb2.ListResponse()

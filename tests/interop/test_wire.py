"""Our .proto files, which were written from tables, say the same as those of the libraries."""

import base64

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from protos.gen.agent import agent_pb2
from protos.gen.cosi import state_pb2
from protos.gen.tunnel import tunnel_pb2

pytestmark = pytest.mark.interop

# What ours have for messages of other packages; only the wire counts.
LOOK_ALIKES = {"grpctunnel.v1.Status": "google.rpc.Status"}


@pytest.fixture(scope="module")
def wire(start):
    with start("wire") as running:
        yield running


@pytest.mark.parametrize("ours", [state_pb2, tunnel_pb2, agent_pb2], ids=lambda module: module.DESCRIPTOR.package)
def test_messages_enums_and_methods_are_those_of_the_library(wire, ours):
    package = ours.DESCRIPTOR.package
    files = [FileDescriptorProto.FromString(base64.b64decode(f)) for f in wire.ask("describe", package=package)]
    theirs = {name: what for file in files for name, what in _facts(file)}
    assert theirs
    mine = FileDescriptorProto()
    ours.DESCRIPTOR.CopyToProto(mine)
    known = {name: what for name, what in _facts(mine) if not name.startswith(tuple(LOOK_ALIKES))}
    assert known
    assert {name: (what, theirs.get(name)) for name, what in known.items() if theirs.get(name) != what} == {}


def _facts(file):
    """Pairs of a name and what stands under it, of all fields, values of enums, and methods."""
    prefix = f"{file.package}."
    for service in file.service:
        for method in service.method:
            streams = (method.client_streaming, method.server_streaming)
            yield f"{prefix}{service.name}/{method.name}", (method.input_type, method.output_type, *streams)
    for enum in file.enum_type:
        yield from _values(enum, prefix)
    for message in file.message_type:
        yield from _members(message, prefix)


def _members(message, prefix):
    name = f"{prefix}{message.name}"
    for field in message.field:
        kind = LOOK_ALIKES.get(field.type_name.lstrip("."), field.type_name.lstrip("."))
        oneof = field.HasField("oneof_index")
        packed = field.label == FieldDescriptorProto.LABEL_REPEATED
        yield f"{name} {field.number}", (field.name, FieldDescriptorProto.Type.Name(field.type), kind, packed, oneof)
    for enum in message.enum_type:
        yield from _values(enum, f"{name}.")
    for nested in message.nested_type:
        yield from _members(nested, f"{name}.")


def _values(enum, prefix):
    for value in enum.value:
        yield f"{prefix}{enum.name} {value.number}", value.name

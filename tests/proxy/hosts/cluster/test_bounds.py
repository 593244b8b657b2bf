"""Each text, list and map in a message of another machine has a bound, and each field of bytes a decoder."""

import msgspec
from msgspec import inspect

from proxy.hosts.cluster.messages import GatewayMessage, HostMessage, SwitchQuestion, SwitchReply
from speech_engine import EngineFailed
from speech_engine.host.messages import DropReply, Failed, Frame, HealthReport, HelloReply, PutReply
from speech_engine.host.remote_pieces import RemoteFrame
from speech_engine.runner import RemotePiece
from speech_engine.training import RemoteMessage

MESSAGES = (
    *(HostMessage, SwitchReply, HelloReply, HealthReport, Frame, PutReply, DropReply),  # of a host
    *(GatewayMessage, SwitchQuestion),  # of a gateway
    *(RemoteFrame, RemoteMessage, RemotePiece),  # of a rented machine
)
BYTES = {
    "HostState.hello": "decode_hello, in HostWatch",
    "RemotePiece.data": "frames_of",
    "Audio.pcm": "sound",
    "Encoded.data": "sound",
    "FarPiece.data": "a piece of a voice, whose whole has a digest",
}
"""The fields of bytes: what decodes them, or what they are."""


class _Inner(msgspec.Struct):
    names: tuple[str, ...]


class _Outer(msgspec.Struct):
    inner: dict[str, _Inner] | None


def test_each_field_of_a_message_of_another_machine_has_a_bound() -> None:
    unbounded, found = [], set()
    for struct in _structs():
        for field in struct.fields:
            name = f"{struct.cls.__name__}.{field.name}"
            for each in _parts(field.type):
                match each:
                    case inspect.BytesType() | inspect.RawType() | inspect.AnyType():
                        found.add(name)
                    case inspect.StrType(max_length=None, pattern=None):
                        unbounded.append(name)
                    case inspect.CollectionType(max_length=None) | inspect.DictType(max_length=None):
                        unbounded.append(name)
    assert not unbounded
    assert found == BYTES.keys()


def test_the_walk_finds_what_has_no_bound() -> None:
    outer, inner = _walk([inspect.type_info(_Outer)])
    assert (outer.cls, inner.cls) == (_Outer, _Inner)
    assert {type(each) for each in _parts(outer.fields[0].type)} == {
        inspect.NoneType,
        inspect.DictType,
        inspect.StrType,
    }


def _structs() -> list[inspect.StructType]:
    structs = _walk([inspect.type_info(each) for each in MESSAGES])
    assert len(structs) > 30
    return structs


def _walk(waiting: list[inspect.Type]) -> list[inspect.StructType]:
    """Return all structs in these types, each once."""
    found: dict[type, inspect.StructType] = {}
    while waiting:
        for each in _parts(waiting.pop(), structs=True):
            if isinstance(each, inspect.StructType) and each.cls not in found:
                found[each.cls] = each
                waiting += [field.type for field in each.fields]
    return [*found.values()]


def _parts(of: inspect.Type, *, structs: bool = False) -> list[inspect.Type]:
    """Return a type and those in it, but for the fields of its structs."""
    match of:
        case inspect.UnionType():
            return [part for each in of.types for part in _parts(each, structs=structs)]
        case inspect.Metadata():
            return _parts(of.type, structs=structs)
        case inspect.TupleType():
            return [part for each in of.item_types for part in _parts(each, structs=structs)]
        case inspect.CollectionType():
            return [of, *_parts(of.item_type, structs=structs)]
        case inspect.DictType():
            return [of, *_parts(of.key_type, structs=structs), *_parts(of.value_type, structs=structs)]
        case inspect.StructType():
            return [of] if structs else []
    return [of]


def test_what_a_host_says_of_a_failure_is_cut_on_both_sides() -> None:
    said = EngineFailed("x" * 3_000_000, detail="y" * 3_000_000)
    sent = Failed.of(said)
    assert (len(sent.message), len(sent.detail)) == (1024, 1024)
    heard = Failed("EngineFailed", "x" * 60_000, detail="y" * 60_000).to_error()
    assert (len(heard.message), len(heard.detail)) == (1024, 1024)

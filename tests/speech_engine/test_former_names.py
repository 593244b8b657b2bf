"""What plugins may import stays where it was, also when it has moved."""

from importlib import import_module

from tests.tables import each_row


@each_row(
    ("module", "name"),
    [
        ("event_stream", "EventStream"),
        ("text.joining", "Call"),
        ("text.joining", "joined"),
        ("text.verbatim", "keep_addresses"),
        ("text.vocabulary", "without_unknown"),
        ("cloud", "said"),
        ("host.model_shelf", "ModelShelf"),
    ],
)
def test_a_name_is_found_in_its_former_place(module: str, name: str) -> None:
    assert callable(getattr(import_module(f"speech_engine.{module}"), name))

"""What the readers have in common: documents they take, and what a reader is."""

import json
from pathlib import Path

import pytest

from shared.errors import FlagDocumentError
from shared.feature_flags import readers
from shared.feature_flags.readers import flagd, growthbook, unleash

DOCUMENT = {
    "flags": {
        "b": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"},
        "a": {"state": "DISABLED", "variants": {"on": True}},
    }
}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: json.loads(text),
        str,
        str.encode,
        lambda text: bytearray(text.encode()),
        lambda text: memoryview(text.encode()),
    ],
    ids=range(5),
)
def test_a_document_may_be_a_mapping_or_json(wrap):
    reader = flagd.load(wrap(json.dumps(DOCUMENT)))

    assert reader.is_enabled("b")


@pytest.mark.parametrize(
    "module", [flagd, growthbook, unleash], ids=lambda module: module.__name__.rsplit(".", 1)[-1]
)
@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        (b"\xff\xfe\xfa", "not JSON: UnicodeDecodeError"),
        ("[]", "an object expected, got a list"),
        ("[" * 100_000, "nested deeper than 100 levels"),
        (None, "an object expected, got null"),
        (5, "an object expected, got a number"),
        (Path("flags.json"), "a document expected, got a path: pass its content, path.read_bytes()"),
    ],
    ids=range(7),
)
def test_what_is_no_document_is_refused_with_the_reason(module, source, what):
    with pytest.raises(FlagDocumentError) as refused:
        module.load(source)

    assert refused.value.faults == (what,)


def test_a_document_nested_too_deeply_is_refused():
    rule = True
    for _ in range(150):
        rule = {"!": [rule]}

    with pytest.raises(FlagDocumentError, match="nested deeper than 100 levels"):
        flagd.load({"flags": {"f": {"targeting": rule}}})


def test_a_long_list_of_faults_is_cut():
    with pytest.raises(FlagDocumentError) as refused:
        unleash.load({"features": [5] * 500})

    assert len(refused.value.faults) == 50


def test_a_fault_never_shows_a_value_nor_control_characters():
    with pytest.raises(FlagDocumentError) as refused:
        flagd.load({"flags": {"a\nb": {"state": "s3cret", "variants": {"on": 1}}}})

    assert refused.value.faults == ("flags.ab.state: ENABLED or DISABLED expected, got a text",)


def test_a_reader_is_a_collection_of_keys():
    reader = flagd.load(DOCUMENT)

    assert (reader.keys(), list(reader), len(reader), "a" in reader, "c" in reader) == (
        ("b", "a"),
        ["b", "a"],
        2,
        True,
        False,
    )
    assert repr(reader) == "<FlagdReader of 2 flags>"


def test_a_value_falls_back_to_the_default():
    reader = flagd.load(DOCUMENT)

    assert [
        reader.value("b", False),
        reader.value("b", 5),
        reader.value("a", "off"),
        reader.value("c", "mine"),
    ] == [True, 5, "off", "mine"]


def test_formats_are_found_in_the_package():
    assert readers.unleash.load is unleash.load
    with pytest.raises(AttributeError, match="launchdarkly"):
        readers.launchdarkly  # noqa: B018

"""The document of Unleash, whole or as events, checked."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from shared.feature_flags.readers._document import Faults, read_document
from shared.feature_flags.readers._values import text_of

Features: TypeAlias = dict[str, Mapping[str, Any]]
Segments: TypeAlias = dict[str, list[Mapping[str, Any]]]


def checked(source: Any) -> tuple[Features, Segments]:
    """Return the features by name and the constraints of the segments by id.

    Raises:
        FlagDocumentError: Something does not fit; everything that does not is listed.
    """
    faults = Faults("unleash document")
    document = read_document(source, faults)
    features: Features = {}
    segments: Segments = {}
    if "events" in document:
        for n, event in enumerate(faults.objects("events", document["events"])):
            _event(f"events[{n}]", event, features, segments, faults)
    elif "features" in document:
        _features("features", document["features"], features, faults)
        _segments("segments", document.get("segments"), segments, faults)
    else:
        faults.add("", "neither 'features' nor 'events' is there")
    faults.settle()
    return features, segments


def _event(
    where: str, event: Mapping[str, Any], features: Features, segments: Segments, faults: Faults
) -> None:
    """Apply one event of the delta endpoint; a kind nobody knows changes nothing."""
    kind = event.get("type")
    if kind == "hydration":
        features.clear()
        segments.clear()
        _features(f"{where}.features", event.get("features"), features, faults)
        _segments(f"{where}.segments", event.get("segments"), segments, faults)
    elif kind == "feature-updated":
        _features(f"{where}.feature", [event.get("feature")], features, faults)
    elif kind == "feature-removed":
        features.pop(faults.text(f"{where}.featureName", event.get("featureName")), None)
    elif kind == "segment-updated":
        _segments(f"{where}.segment", [event.get("segment")], segments, faults)
    elif kind == "segment-removed":
        segments.pop(text_of(event.get("segmentId")) or "", None)


def _features(where: str, value: Any, features: Features, faults: Faults) -> None:
    for n, feature in enumerate(faults.objects(where, value)):
        at = f"{where}[{n}]"
        name = faults.text(f"{at}.name", feature.get("name")) if feature else ""
        for index, strategy in enumerate(faults.objects(f"{at}.strategies", feature.get("strategies"))):
            _strategy(f"{at}.strategies[{index}]", strategy, faults)
        _variants(f"{at}.variants", feature.get("variants"), faults)
        for index, parent in enumerate(faults.objects(f"{at}.dependencies", feature.get("dependencies"))):
            faults.text(f"{at}.dependencies[{index}].feature", parent.get("feature"))
            faults.items(f"{at}.dependencies[{index}].variants", parent.get("variants"))
        features[name] = feature


def _strategy(where: str, strategy: Mapping[str, Any], faults: Faults) -> None:
    faults.text(f"{where}.name", strategy.get("name"))
    faults.mapping(f"{where}.parameters", strategy.get("parameters") or {})
    _constraints(f"{where}.constraints", strategy.get("constraints"), faults)
    faults.items(f"{where}.segments", strategy.get("segments"))
    _variants(f"{where}.variants", strategy.get("variants"), faults)


def _constraints(where: str, value: Any, faults: Faults) -> list[Mapping[str, Any]]:
    constraints = faults.objects(where, value)
    for n, constraint in enumerate(constraints):
        faults.items(f"{where}[{n}].values", constraint.get("values"))
    return constraints


def _variants(where: str, value: Any, faults: Faults) -> None:
    for n, variant in enumerate(faults.objects(where, value)):
        faults.text(f"{where}[{n}].name", variant.get("name"))
        faults.whole(f"{where}[{n}].weight", variant.get("weight"))
        for index, override in enumerate(faults.objects(f"{where}[{n}].overrides", variant.get("overrides"))):
            faults.items(f"{where}[{n}].overrides[{index}].values", override.get("values"))


def _segments(where: str, value: Any, segments: Segments, faults: Faults) -> None:
    for n, segment in enumerate(faults.objects(where, value)):
        number = text_of(segment.get("id"))
        if number is None:
            faults.add(f"{where}[{n}].id", "a number or a text expected")
        segments[number or ""] = _constraints(f"{where}[{n}].constraints", segment.get("constraints"), faults)

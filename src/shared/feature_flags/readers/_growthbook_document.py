"""The document of GrowthBook, checked."""

from collections.abc import Mapping
from typing import Any, Final

from shared.feature_flags.readers._document import Faults, kind_of, read_document
from shared.feature_flags.readers._javascript import is_number

_PAIR: Final = 2
_NAMESPACE: Final = 3


def checked(source: Any) -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Any]]:
    """Return the features and the saved groups of a document.

    Raises:
        FlagDocumentError: Something does not fit; everything that does not is listed.
    """
    faults = Faults("growthbook document")
    document = read_document(source, faults)
    if "features" not in document and ("encryptedFeatures" in document or "encryptedSavedGroups" in document):
        faults.add("", "it is encrypted: decrypt it with the key of the connection first")
        faults.settle()
    features = faults.mapping("features", document.get("features"))
    for key, feature in features.items():
        where = f"features.{key}"
        for n, rule in enumerate(
            faults.objects(f"{where}.rules", faults.mapping(where, feature).get("rules"))
        ):
            check_rule(f"{where}.rules[{n}]", rule, faults)
    groups = faults.mapping("savedGroups", document.get("savedGroups") or {})
    faults.settle()
    return features, groups


def checked_experiment(source: Any) -> Mapping[str, Any]:
    """Return an inline experiment that fits.

    Raises:
        FlagDocumentError: It does not.
    """
    faults = Faults("growthbook experiment")
    experiment = read_document(source, faults)
    faults.text("key", experiment.get("key"))
    if not isinstance(experiment.get("variations"), list):
        faults.add("variations", f"a list expected, got {kind_of(experiment.get('variations'))}")
    check_rule("experiment", experiment, faults)
    faults.settle()
    return experiment


def check_rule(where: str, rule: Mapping[str, Any], faults: Faults) -> None:
    """List what is wrong with the shape of a rule or an experiment."""
    faults.items(f"{where}.variations", rule.get("variations"))
    faults.objects(f"{where}.meta", rule.get("meta"))
    for name in ("hashAttribute", "fallbackAttribute", "key", "id"):
        if not isinstance(rule.get(name), str | None):
            faults.add(f"{where}.{name}", f"a text expected, got {kind_of(rule[name])}")
    for name in ("coverage", "hashVersion", "bucketVersion", "minBucketVersion"):
        if rule.get(name) is not None and not is_number(rule[name]):
            faults.add(f"{where}.{name}", f"a number expected, got {kind_of(rule[name])}")
    for name in ("bucketVersion", "minBucketVersion"):
        faults.whole(f"{where}.{name}", rule.get(name)) if is_number(rule.get(name)) else None
    if rule.get("range") is not None:
        _span(f"{where}.range", rule["range"], faults)
    for n, span in enumerate(faults.items(f"{where}.ranges", rule.get("ranges"))):
        _span(f"{where}.ranges[{n}]", span, faults)
    for n, one in enumerate(faults.objects(f"{where}.filters", rule.get("filters"))):
        for index, span in enumerate(faults.items(f"{where}.filters[{n}].ranges", one.get("ranges", 0))):
            _span(f"{where}.filters[{n}].ranges[{index}]", span, faults)
    _namespace(f"{where}.namespace", rule.get("namespace"), faults)
    for n, parent in enumerate(faults.objects(f"{where}.parentConditions", rule.get("parentConditions"))):
        if not isinstance(parent.get("id"), str | None):
            faults.add(f"{where}.parentConditions[{n}].id", "a text expected")


def _span(where: str, value: Any, faults: Faults) -> None:
    if not isinstance(value, list) or len(value) != _PAIR or not all(map(is_number, value)):
        faults.add(where, f"two numbers expected, got {kind_of(value)}")


def _namespace(where: str, value: Any, faults: Faults) -> None:
    if value is None:
        return
    fits = isinstance(value, list) and len(value) == _NAMESPACE and isinstance(value[0], str)
    if not fits or not all(map(is_number, value[1:])):
        faults.add(where, "a name and two numbers expected")

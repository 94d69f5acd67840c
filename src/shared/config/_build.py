"""From layers of raw values to validated sections and one list of problems.

The order of the sources, the strongest first: override, environment (``NAME``,
then ``NAME_FILE``), ``.env``, secrets directory, sources of a subclass, secret
managers, settings file, default of the profile, default of the class.
"""

import functools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from shared.config._decode import DecodeError, decode, opened
from shared.config._describe import expected
from shared.config._field import ENVIRONMENTS, UNDEFINED, FieldSpec, Section, shown
from shared.config._names import in_namespace, nearest
from shared.config._report import Problem, printable
from shared.config._rules import check
from shared.config._sources import Layer, Raw, read_pointer
from shared.config._types import URL_START, looks_like_scheme
from shared.security import MASK, mask_text

_OWN_WORDS: Final = ("value_error", "assertion_error")  # errors that a service's validator words itself
_GENERATES: Final = ("development", "testing")


@dataclass(frozen=True, slots=True)
class Found:
    """Where one setting was found; the first of *raws* wins."""

    raws: tuple[Raw, ...]
    default: str = "default"  # what stands in when there is none


@dataclass(slots=True)
class Outcome:
    """What building the settings came to."""

    specs: Mapping[str, FieldSpec]
    environment: str = "development"
    sections: dict[str, Section] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    layers: tuple[Layer, ...] = ()

    @property
    def errors(self) -> list[Problem]:
        """The problems that refuse the settings."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that are only reported."""
        return [problem for problem in self.problems if problem.severity == "warning"]

    def __deepcopy__(self, memo: dict[int, Any]) -> "Outcome":
        return self  # never changed once the settings are built

    def hide(self, message: str) -> str:
        """Return *message* of foreign code with every secret of the settings masked."""
        texts: set[str] = set()
        for name, found in self.found.items():
            if self.specs[name].secret or self.specs[name].url:
                texts.update(value for raw in found.raws if isinstance(value := opened(raw.value), str))
        for text in sorted((text.strip() for text in texts), key=len, reverse=True):
            if len(text) > 2:
                message = message.replace(text, MASK)
        return printable(mask_text(message))


def build(specs: Mapping[str, FieldSpec], layers: Sequence[Layer]) -> Outcome:
    """Find, decode and validate every setting; never raises for what the layers hold."""
    outcome = Outcome(specs, layers=tuple(layers))
    outcome.problems.extend(problem for layer in layers for problem in layer.problems)
    for spec in specs.values():
        outcome.found[spec.name] = Found(tuple(_find(spec, layers, specs, outcome.problems)))
    outcome.environment = _environment(specs, outcome)
    values, broken = _values(specs, outcome)
    for name, owner in _owners(specs).items():
        section, errors = _try(owner, values.get(name, {}))
        if errors:
            _report(name, errors, outcome, broken)
            # The defaults stand in for what is wrong, so that the rules can look at the rest.
            section = _try(owner, {key: value for key, value in values[name].items() if key not in broken})[0]
        if section is not None:
            outcome.sections[name] = section
    known = {
        name: getattr(section, name)
        for section in outcome.sections.values()
        for name in type(section).model_fields
        if name not in broken
    }
    outcome.problems.extend(check(known, outcome.environment, outcome.found, specs))
    outcome.problems.extend(_unknown(specs, layers, strict=known.get("SETTINGS_STRICT", False)))
    return outcome


def _owners(specs: Mapping[str, FieldSpec]) -> dict[str, type[Section]]:
    return {spec.section: spec.owner for spec in specs.values()}


# --- finding ----------------------------------------------------------------------------------


def _find(
    spec: FieldSpec, layers: Sequence[Layer], specs: Mapping[str, FieldSpec], problems: list[Problem]
) -> Iterator[Raw]:
    for layer in layers:
        here = [layer.values[name] for name in spec.names if name in layer.values]
        if layer.reads_files:
            here.extend(_pointed(spec, layer, specs, here, problems))
        problems.extend(_conflicts(spec, here))
        yield from here


def _pointed(
    spec: FieldSpec, layer: Layer, specs: Mapping[str, FieldSpec], direct: list[Raw], problems: list[Problem]
) -> Iterator[Raw]:
    for name in spec.names:
        pointer = layer.values.get(f"{name}_FILE")
        if pointer is None or pointer.name in specs:
            continue
        if direct:
            problems.append(
                Problem(
                    spec.name,
                    f"is set twice: as {direct[0].name} and by {pointer.name}; remove one",
                    origin=pointer.origin,
                    id="settings.conflict",
                )
            )
            continue
        scratch = Layer(layer.kind, base=layer.base)
        raw = read_pointer(pointer, name, scratch)
        problems.extend(scratch.problems)
        if raw is not None:
            yield raw


def _conflicts(spec: FieldSpec, here: Sequence[Raw]) -> Iterator[Problem]:
    first = here[0] if here else None
    for other in here[1:]:
        if first is not None and _plain(first.value) != _plain(other.value):
            yield Problem(
                spec.name,
                f"{first.name} and {other.name} name one setting and have different values; remove one",
                origin=f"{first.origin}, {other.origin}",
                id="settings.conflict",
            )


def _plain(value: Any) -> Any:
    value = opened(value)
    return value.strip() if isinstance(value, str) else str(value)


# --- values -----------------------------------------------------------------------------------


def _environment(specs: Mapping[str, FieldSpec], outcome: Outcome) -> str:
    """Return the profile: the winner of ENVIRONMENT when it is valid, else the default."""
    spec = specs["ENVIRONMENT"]
    raws = outcome.found["ENVIRONMENT"].raws
    if raws:
        try:
            return str(vars(spec.owner.model_validate({"ENVIRONMENT": raws[0].value}))["ENVIRONMENT"])
        except ValidationError:
            # Reported with the other settings. An environment that cannot be read
            # is judged by the strictest rules: it may well be production.
            return "production"
    default = str(spec.default(""))
    return default if default in ENVIRONMENTS else "development"


def _values(specs: Mapping[str, FieldSpec], outcome: Outcome) -> tuple[dict[str, dict[str, Any]], set[str]]:
    values: dict[str, dict[str, Any]] = {}
    broken: set[str] = set()
    for spec in specs.values():
        raws = outcome.found[spec.name].raws
        target = values.setdefault(spec.section, {})
        if not raws:
            value, source = _default(spec, outcome.environment)
            outcome.found[spec.name] = Found((), source)
            if value is not UNDEFINED:
                target[spec.name] = value
            continue
        try:
            target[spec.name] = decode(spec, raws[0].value)
        except DecodeError as exc:
            broken.add(spec.name)
            outcome.problems.append(_wrong(spec, raws[0], f"expected {exc}"))
    return values, broken


def _default(spec: FieldSpec, environment: str) -> tuple[Any, str]:
    if spec.generated and environment in _GENERATES:
        return _generated(spec.name), "generated for this process"
    source = f"default of {environment}" if environment in spec.profiles else "default"
    return spec.default(environment), source


@functools.cache
def _generated(name: str) -> SecretStr:  # noqa: ARG001 - one value per name
    # One per process, so that two runtimes and a reload agree on it.
    return SecretStr(secrets.token_urlsafe(48))


def _report(section: str, errors: "Sequence[_Error]", outcome: Outcome, broken: set[str]) -> None:
    """Turn the errors of one section into problems, one for each variable."""
    for variable, item, kind, message in errors:
        spec = outcome.specs.get(variable)
        if spec is None:
            problem = Problem(f"section {section}", outcome.hide(message), id="settings.section")
            outcome.problems.append(problem)
        elif variable not in broken:
            raws = outcome.found[variable].raws
            safe = outcome.hide(message)
            outcome.problems.append(_explained(spec, raws[0] if raws else None, item, kind, safe))
            broken.add(variable)


_Error = tuple[str, str, str, str]


def _try(owner: type[Section], values: Mapping[str, Any]) -> tuple[Section | None, list[_Error]]:
    """Return the section, or its errors as (variable, item, kind, message) without any input."""
    try:
        return owner.model_validate(dict(values)), []
    except ValidationError as exc:
        return None, list(_details(exc))
    except Exception as exc:  # noqa: BLE001 - a validator of a service may raise anything
        return None, [("", "", "validator", f"its validator failed with {type(exc).__name__}")]


def _details(exc: ValidationError) -> Iterator[_Error]:
    for error in exc.errors(include_url=False, include_input=False):
        location = [str(part) for part in error["loc"]]
        item = next((str(int(part) + 1) for part in location[1:] if part.isdigit()), "")
        kind, message = error["type"], error["msg"]
        if kind in _OWN_WORDS:  # pydantic puts "Value error, " before them
            message = message.partition(", ")[2]
        yield (location[0] if location else "", item, kind, message)


def _explained(spec: FieldSpec, raw: Raw | None, item: str, kind: str, message: str) -> Problem:
    where = f" (value {item} of the list)" if item and spec.shape == "list" else ""
    if kind == "missing":
        return Problem(
            spec.name, f"expected {expected(spec)}, but it is not set", id="settings.missing",
            fix=f"set {spec.name}: {spec.description}",
        )  # fmt: skip
    if kind.startswith("shared_"):
        return _wrong(spec, raw, f"expected {message}{where}")
    if kind in _OWN_WORDS and not spec.secret:
        return _wrong(spec, raw, f"{message}{where}")
    return _wrong(spec, raw, f"expected {expected(spec)}{where}")


def _wrong(spec: FieldSpec, raw: Raw | None, message: str) -> Problem:
    return Problem(
        spec.name,
        message,
        origin=raw.origin if raw else "default",
        value=masked(spec, raw.value) if raw else None,
    )


def masked(spec: FieldSpec, value: Any) -> str:
    """Return *value*, which may be malformed, as text that cannot hold a secret."""
    if spec.secret:
        return MASK
    if spec.url:
        # A malformed URL may hold its password anywhere, or be one.
        start = URL_START.match(str(opened(value)).strip())
        scheme = start.group(1) if start else ""
        return f"{scheme}://{MASK}" if looks_like_scheme(scheme) else MASK
    return printable(shown(spec, value))


# --- names nobody knows -------------------------------------------------------------------------


def _unknown(specs: Mapping[str, FieldSpec], layers: Sequence[Layer], *, strict: bool) -> Iterator[Problem]:
    known = _known_names(specs)
    sections = sorted({spec.section for spec in specs.values()})
    reported: set[str] = set()
    for layer in layers:
        for name, raw in layer.values.items():
            if name in known or name in reported:
                continue
            suggestion = nearest(name, known, sections)
            ours = in_namespace(name) or layer.kind == "override"
            if suggestion is None and not ours:
                continue
            reported.add(name)
            yield _unknown_problem(name, raw, suggestion, layer, strict=strict and ours)


def _known_names(specs: Mapping[str, FieldSpec]) -> Mapping[str, None]:
    names = [name for spec in specs.values() for name in spec.names]
    return MappingProxyType(dict.fromkeys([*names, *(f"{name}_FILE" for name in names)]))


def _unknown_problem(name: str, raw: Raw, suggestion: str | None, layer: Layer, *, strict: bool) -> Problem:
    refused = strict or layer.kind == "override"
    return Problem(
        printable(name),
        "is not a setting",
        origin=raw.origin,
        suggestion=suggestion,
        fix=f"rename it to {suggestion}"
        if suggestion
        else "remove it, or declare it in a section of the service",
        id="settings.unknown",
        severity="error" if refused else "warning",
    )

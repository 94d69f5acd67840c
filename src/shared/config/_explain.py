"""Why a setting has the value it has."""

from dataclasses import dataclass
from typing import Any

from shared.config._access import get_settings
from shared.config._build import masked
from shared.config._field import FieldSpec, shown
from shared.config._names import nearest
from shared.config._report import printable
from shared.config._settings import Settings
from shared.config._specs import find_spec, specs_of
from shared.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where the value of a setting comes from; holds no secret.

    Attributes:
        name: The setting.
        section: Its section: ``settings.<section>.<name>``.
        value: The value in force, masked.
        origin: Where it comes from.
        shadowed: Weaker sources that also set it: (origin, masked value), the
            strongest first.
        default: The default in the present profile, masked.
        expected: What a value looks like.
        description: What the setting does.
        aliases: Its other names.

    Example:
        >>> from shared.config import explain
        >>> print(explain("DB_POOL_SIZE"))
        DB_POOL_SIZE = 5
          from: default
          default: 5
          expected: an integer, at least 1, at most 1000
          Connections kept open per process.
    """

    name: str
    section: str
    value: Any
    origin: str
    shadowed: tuple[tuple[str, str], ...]
    default: Any
    expected: str
    description: str
    aliases: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain data."""
        return {
            "name": self.name,
            "section": self.section,
            "value": self.value,
            "origin": self.origin,
            "shadowed": [{"origin": origin, "value": value} for origin, value in self.shadowed],
            "default": self.default,
            "expected": self.expected,
            "description": self.description,
            "aliases": list(self.aliases),
        }

    def __str__(self) -> str:
        lines = [f"{self.name} = {printable(self.value)}", f"  from: {self.origin}"]
        lines += [f"  shadowed: {origin} = {value}" for origin, value in self.shadowed]
        lines += [f"  default: {printable(self.default)}", f"  expected: {self.expected}"]
        lines += [f"  also called: {', '.join(self.aliases)}"] if self.aliases else []
        return "\n".join([*lines, f"  {self.description}"])


def explain(name: str, settings: Settings | None = None) -> Explanation:
    """Tell which source the setting *name* has its value from, and which were shadowed.

    Args:
        name: The setting, also by an alias.
        settings: By default those in force.

    Raises:
        ConfigurationError: There is no such setting.

    Example:
        >>> from shared.config import Settings
        >>> found = Settings(environ={"API_PORT": "9000"}, env_file=None)
        >>> explain("API_PORT", found).origin
        'environment'
    """
    found = settings or get_settings()
    spec = find_spec(type(found), name)
    if spec is None:
        raise ConfigurationError(_no_such(name, type(found)))
    return _explain(spec, found)


def _no_such(name: str, cls: type[Settings]) -> str:
    meant = nearest(name, specs_of(cls), cls.model_fields)
    hint = f"did you mean {meant}?" if meant else "run: shared config docs"
    return f"{printable(name)!r} is not a setting: {hint}"


def _explain(spec: FieldSpec, settings: Settings) -> Explanation:
    from shared.config._describe import expected

    place = settings.found(spec.name)
    return Explanation(
        name=spec.name,
        section=spec.section,
        value=shown(spec, getattr(getattr(settings, spec.section), spec.name)),
        origin=_origin(spec, place.raws[0].name, place.raws[0].origin) if place.raws else place.default,
        shadowed=tuple(
            (_origin(spec, raw.name, raw.origin), masked(spec, raw.value)) for raw in place.raws[1:]
        ),
        default=shown(spec, None if spec.required else spec.default(str(settings.app.ENVIRONMENT))),
        expected=expected(spec),
        description=spec.description,
        aliases=spec.aliases,
    )


def _origin(spec: FieldSpec, name: str, origin: str) -> str:
    return origin if name == spec.name else f"{origin}, as {name}"

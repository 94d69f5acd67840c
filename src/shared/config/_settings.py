"""The settings of a service."""

import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, NoReturn, Self

from pydantic import BaseModel, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from shared.config._build import Outcome, build
from shared.config._cloud import fill, flat_model, from_provider
from shared.config._decode import DecodeError, decode
from shared.config._field import FieldSpec, Section, refuse_pickle, shown, specs_of_section
from shared.config._report import Problem, failure, printable
from shared.config._sections import (
    AgentSettings,
    AISettings,
    APISettings,
    AppSettings,
    AWSSettings,
    DatabaseSettings,
    EmailSettings,
    FlagsSettings,
    GCPSettings,
    JobsSettings,
    LoggingSettings,
    MonitoringSettings,
    RedisSettings,
    ResilienceSettings,
    SecuritySettings,
    StorageSettings,
    StripeSettings,
)
from shared.config._sources import (
    Layer,
    find_env_file,
    from_env_file,
    from_environment,
    from_overrides,
    from_secrets_dir,
    from_settings_file,
)
from shared.errors import ConfigurationError


class _Search:
    """The value of *env_file* that means: look for it."""

    def __repr__(self) -> str:
        return "SEARCH"


SEARCH: Final = _Search()


class Settings(BaseSettings):
    """All settings of a service, by section; built once and never changed.

    ``Settings()`` reads the environment, the ``.env`` file and whatever else is
    configured, and validates everything. Services usually call
    :func:`get_settings`; they subclass to add sections of their own.

    Args:
        environ: Variables in place of the process's.
        env_file: Path of the ``.env`` file in place of the search for it; None
            reads none.
        overrides: Values that win over every source, by name.

    Raises:
        ConfigurationError: One error that lists everything that is wrong, with
            the origin of each value and without any secret.

    Example:
        >>> environ = {"DB_POOL_SIZE": "7", "CORS_ORIGINS": "https://a.example"}
        >>> settings = Settings(environ=environ, env_file=None)
        >>> settings.database.DB_POOL_SIZE, settings.api.CORS_ORIGINS
        (7, ['https://a.example'])
        >>> settings.to_dict()["security"]["JWT_SECRET_KEY"]
        '***'
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=()
    )

    app: AppSettings
    api: APISettings
    database: DatabaseSettings
    redis: RedisSettings
    security: SecuritySettings
    logging: LoggingSettings
    monitoring: MonitoringSettings
    resilience: ResilienceSettings
    flags: FlagsSettings
    jobs: JobsSettings
    storage: StorageSettings
    email: EmailSettings
    ai: AISettings
    agent: AgentSettings
    stripe: StripeSettings
    gcp: GCPSettings
    aws: AWSSettings

    _outcome: Outcome = PrivateAttr()

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        env_file: "str | Path | _Search | None" = SEARCH,
        **overrides: Any,
    ) -> None:
        layers = collect(
            type(self), os.environ if environ is None else environ, env_file, from_overrides(overrides)
        )
        # The frames of the error below keep only masked values for tools that print locals.
        del overrides, environ
        self._assemble(layers)

    def _assemble(self, layers: list[Layer]) -> None:
        outcome = build(specs_of(type(self)), layers)
        problems = outcome.errors or self._fill(outcome)
        if problems:
            raise failure(problems, outcome.environment) from None
        self._outcome = outcome

    def _fill(self, outcome: Outcome) -> list[Problem]:
        try:
            # Past BaseSettings: its sources have been replaced by the layers.
            BaseModel.__init__(self, **outcome.sections)
        except ValidationError as exc:
            return [
                Problem(
                    "settings",
                    printable(error["msg"].partition(", ")[2] or error["msg"]),
                    id="settings.section",
                )
                for error in exc.errors(include_url=False, include_input=False, include_context=False)
            ]
        return []

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add sources of pydantic-settings in a subclass.

        Whatever a subclass returns beside the four it was given is asked after the
        secrets directory, in that order. *settings_cls* has every setting as a field
        of its own, so any source of pydantic-settings works with it. The four
        themselves stand for the library's own sources, whose order is fixed.
        """
        return (init_settings,)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        specs_of(cls)

    # -- showing -----------------------------------------------------------------------

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return all settings as plain data with secrets masked.

        Returns:
            ``{section: {NAME: value}}``; secrets and passwords inside URLs are
            ``"***"``, secrets that are not set are None.

        Example:
            >>> environ = {"DATABASE_URL": "postgresql://app:pw@localhost/x"}
            >>> settings = Settings(environ=environ, env_file=None)
            >>> settings.to_dict()["database"]["DATABASE_URL"]
            'postgresql://app:***@localhost/x'
        """
        result: dict[str, dict[str, Any]] = {}
        for spec in specs_of(type(self)).values():
            value = getattr(getattr(self, spec.section), spec.name)
            result.setdefault(spec.section, {})[spec.name] = shown(spec, value)
        return result

    def variable(self, name: str) -> str | None:
        """Return a variable that is not a setting, as text; None when it is not set.

        It comes from the environment, else the ``.env`` file, as they were when the
        settings were built. Feature flags named by variables are read this way.

        Raises:
            ConfigurationError: *name* is a setting; read it from its section.

        Example:
            >>> Settings(environ={"ANALYTICS_ENABLED": "true"}, env_file=None).variable("ANALYTICS_ENABLED")
            'true'
        """
        spec = find_spec(type(self), name)
        if spec is not None:
            msg = f"{name} is a setting: read settings.{spec.section}.{spec.name}"
            raise ConfigurationError(msg)
        for layer in self._outcome.layers:
            raw = layer.values.get(name)
            if raw is not None and layer.reads_files:
                return str(raw.value)
        return None

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is suspicious but not refused: misspelt names, weak secrets in staging."""
        return tuple(self._outcome.warnings)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield "environment", str(self.app.ENVIRONMENT)
        yield "sections", sorted(type(self).model_fields)

    def __reduce__(self) -> NoReturn:
        refuse_pickle(type(self).__name__)

    def replaced(self, overrides: Mapping[str, Any]) -> Self:
        """Return settings from the same values with *overrides* on top, validated.

        Nothing is read again. The profile follows when ``ENVIRONMENT`` is overridden.

        Raises:
            ConfigurationError: A name is unknown or a value is wrong.

        Example:
            >>> settings = Settings(environ={}, env_file=None)
            >>> settings.replaced({"DB_POOL_SIZE": 3}).database.DB_POOL_SIZE
            3
        """
        earlier, *rest = self._outcome.layers
        merged = Layer("override", {**earlier.values, **_overriding(type(self), overrides)})
        other = type(self).__new__(type(self))
        del overrides, earlier
        other._assemble([merged, *rest])  # noqa: SLF001 - our own class
        return other


def _overriding(cls: type[Settings], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return *overrides* under the main names, so that an alias replaces an earlier override."""
    named = {}
    for name, value in overrides.items():
        spec = find_spec(cls, name)
        named[spec.name if spec else name] = value
    return from_overrides(named).values


# --- what a class of settings declares --------------------------------------------------------


@functools.cache
def specs_of(cls: type[Settings]) -> Mapping[str, FieldSpec]:
    """Return every setting of *cls* by name.

    Raises:
        ConfigurationError: A field is not a section, or two sections share a name.
    """
    specs: dict[str, FieldSpec] = {}
    taken: dict[str, str] = {}
    for section, info in cls.model_fields.items():
        owner = info.annotation
        if not (isinstance(owner, type) and issubclass(owner, Section)):
            msg = f"{cls.__name__}.{section} must be a subclass of Section, got {owner!r}"
            raise ConfigurationError(msg)
        for spec in specs_of_section(owner, section).values():
            for name in spec.names:
                if name in taken or not name.isupper():
                    where = f"already declared in {taken[name]!r}" if name in taken else "not in capitals"
                    msg = f"{cls.__name__}.{section}.{name}: the name is {where}"
                    raise ConfigurationError(msg)
                taken[name] = section
            specs[spec.name] = spec
    return MappingProxyType(specs)


def find_spec(cls: type[Settings], name: str) -> FieldSpec | None:
    """Return the setting called *name*, also by an alias."""
    specs = specs_of(cls)
    return specs.get(name) or next((spec for spec in specs.values() if name in spec.aliases), None)


# --- collecting --------------------------------------------------------------------------------


def collect(
    cls: type[Settings], environ: Mapping[str, str], env_file: "str | Path | _Search | None", overrides: Layer
) -> list[Layer]:
    """Return the layers of *cls*, the strongest first."""
    specs = specs_of(cls)
    layers = [overrides, from_environment(environ)]
    layers.extend(_env_file(environ, env_file))

    def early(name: str) -> Any:
        raw = next((layer.values[name] for layer in layers if name in layer.values), None)
        try:
            return decode(specs[name], raw.value) if raw is not None else None
        except DecodeError:  # build() reports it with the others
            return None

    names = [name for spec in specs.values() for name in spec.names]
    layers.extend(from_secrets_dir(Path(str(folder)), names) for folder in _each(early("SECRETS_DIR")))
    layers.extend(_customised(cls, names))
    region = early("AWS_REGION")
    layers.extend(from_provider(str(url), names, region) for url in _each(early("SECRETS_PROVIDER")))
    if (path := early("SETTINGS_FILE")) is not None:
        layers.append(from_settings_file(Path(str(path)), cls.model_fields))
    return layers


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _env_file(environ: Mapping[str, str], env_file: "str | Path | _Search | None") -> list[Layer]:
    if isinstance(env_file, _Search):
        named = environ.get("ENV_FILE", "").strip()
        if named.lower() in ("off", "none"):
            return []
        env_file = Path(named) if named else _search()
    return [] if env_file is None else [from_env_file(Path(env_file), environ)]


def _search() -> Path | None:
    try:
        return find_env_file(Path.cwd())
    except OSError:  # the working directory has been removed
        return None


def _customised(cls: type[Settings], names: list[str]) -> Iterator[Layer]:
    if cls.settings_customise_sources.__func__ is Settings.settings_customise_sources.__func__:  # type: ignore[attr-defined]
        return
    model = flat_model(names)
    own = [InitSettingsSource(model, init_kwargs={}) for _ in range(4)]
    for source in cls.settings_customise_sources(model, *own):
        if source in own:
            continue
        layer = Layer("source")
        name = type(source).__name__
        try:
            fill(layer, source(), name)
        except Exception as exc:  # noqa: BLE001 - a source of a service may raise anything
            layer.problems.append(
                Problem(name, f"could not be read: {type(exc).__name__}", id="settings.source")
            )
        yield layer

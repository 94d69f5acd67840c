"""The settings of a service."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from pydantic import BaseModel, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.config._build import Found, Outcome, build
from shared.config._collect import SEARCH, Recipe, Search, collect
from shared.config._field import refuse_change, refuse_pickle, shown
from shared.config._report import Problem, failure
from shared.config._sections import (
    AgentSettings,
    AISettings,
    APISettings,
    AppSettings,
    AWSSettings,
    CacheSettings,
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
    ShopifySettings,
    StorageSettings,
    StripeSettings,
)
from shared.config._sources import Layer, from_overrides
from shared.config._specs import find_spec, specs_of
from shared.errors import ConfigurationError


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
    cache: CacheSettings
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
    shopify: ShopifySettings
    gcp: GCPSettings
    aws: AWSSettings

    _outcome: Outcome = PrivateAttr()
    _recipe: Recipe = PrivateAttr()

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        env_file: "str | Path | Search | None" = SEARCH,
        **overrides: Any,
    ) -> None:
        layers = collect(
            type(self), os.environ if environ is None else environ, env_file, from_overrides(overrides)
        )
        recipe = Recipe(environ, env_file)
        # The frames of the error below keep only masked values for tools that print locals.
        del overrides, environ
        self._assemble(layers, recipe)

    def _assemble(self, layers: list[Layer], recipe: Recipe) -> None:
        outcome = self._apply(layers, recipe)
        if outcome.errors:
            raise failure(outcome.errors, outcome.environment, outcome.warnings)

    def _apply(self, layers: list[Layer], recipe: Recipe) -> Outcome:
        """Build the sections from *layers*; what is wrong is in the outcome, nothing is raised."""
        outcome = build(specs_of(type(self)), layers)
        if not outcome.errors:
            outcome.problems.extend(self._fill(outcome))
        if not outcome.errors:
            self._outcome = outcome
            self._recipe = recipe
        return outcome

    def _fill(self, outcome: Outcome) -> Iterator[Problem]:
        try:
            # Past BaseSettings: its sources have been replaced by the layers.
            BaseModel.__init__(self, **outcome.sections)
        except ValidationError as exc:
            for error in exc.errors(include_url=False, include_input=False, include_context=False):
                message = outcome.hide(error["msg"].partition(", ")[2] or error["msg"])
                yield Problem(type(self).__name__, message, id="settings.section")
        except Exception as exc:  # noqa: BLE001 - a validator of a service may raise anything
            message = f"its validator failed with {type(exc).__name__}"
            yield Problem(type(self).__name__, message, id="settings.section")

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
        # Not there yet in the frames of an error while the settings are built.
        app: AppSettings | None = self.__dict__.get("app")
        yield "environment", str(app.ENVIRONMENT) if app is not None else None
        yield "sections", sorted(self.__dict__)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            refuse_change(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        refuse_change(name)

    def __reduce__(self) -> NoReturn:
        refuse_pickle(type(self).__name__)

    @property
    def files(self) -> tuple[Path, ...]:
        """The ``.env`` and settings files that were read."""
        return tuple(layer.path for layer in self._outcome.layers if layer.path is not None)

    def found(self, name: str) -> Found:
        """Return where the setting *name* was found; for :func:`explain`."""
        return self._outcome.found[name]

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
        layer = from_overrides(overrides)
        del overrides  # the frames of an error keep only masked values
        return self.with_layer(layer)

    def with_layer(self, layer: Layer) -> Self:
        """Return these settings with *layer* over the earlier overrides; see :meth:`replaced`."""
        earlier, *rest = self._outcome.layers
        merged = Layer("override", dict(earlier.values))
        for name, raw in layer.values.items():
            # Under the main name, so that an alias replaces an earlier override.
            spec = find_spec(type(self), name)
            merged.values[spec.name if spec else name] = raw
        other = type(self).__new__(type(self))
        other._assemble([merged, *rest], self._recipe)  # noqa: SLF001 - our own class
        return other

    def reloaded(self) -> Self:
        """Return settings from the same sources, read again; values given in code stay.

        Raises:
            ConfigurationError: The sources are wrong now.

        Example:
            >>> variables = {"DB_POOL_SIZE": "7"}
            >>> settings = Settings(environ=variables, env_file=None, API_PORT=9000)
            >>> variables["DB_POOL_SIZE"] = "8"
            >>> again = settings.reloaded()
            >>> again.database.DB_POOL_SIZE, again.api.API_PORT, settings.database.DB_POOL_SIZE
            (8, 9000, 7)
        """
        environ = os.environ if self._recipe.environ is None else self._recipe.environ
        layers = collect(type(self), environ, self._recipe.env_file, self._outcome.layers[0].fresh())
        del environ  # the frames of an error keep only masked values
        other = type(self).__new__(type(self))
        other._assemble(layers, self._recipe)  # noqa: SLF001 - our own class
        return other

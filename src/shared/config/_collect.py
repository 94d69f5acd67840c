"""The layers of raw values, the strongest first."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, InitSettingsSource

from shared.config._cloud import CloudAccess, fill, flat_model, from_provider
from shared.config._decode import DecodeError, decode
from shared.config._report import Problem
from shared.config._sources import (
    Layer,
    Raw,
    find_env_file,
    from_env_file,
    from_environment,
    from_secrets_dir,
    from_settings_file,
)
from shared.config._specs import specs_of

#: What a secret manager needs to know before it is asked.
_ACCESS: Final = {
    "region": "AWS_REGION",
    "endpoint_url": "AWS_ENDPOINT_URL",
    "profile": "AWS_PROFILE",
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
}


class Search:
    """The value of *env_file* that means: look for it."""

    def __repr__(self) -> str:
        return "SEARCH"


SEARCH: Final = Search()


class Recipe:
    """How settings were read, to read them again; shows nothing of the variables."""

    __slots__ = ("env_file", "environ")

    def __init__(self, environ: Mapping[str, str] | None, env_file: str | Path | Search | None) -> None:
        self.environ = environ
        self.env_file = env_file

    def __deepcopy__(self, memo: dict[int, Any]) -> "Recipe":
        return self


def collect(
    cls: type[BaseSettings],
    environ: Mapping[str, str],
    env_file: "str | Path | Search | None",
    overrides: Layer,
) -> list[Layer]:
    """Return the layers of *cls*, the strongest first."""
    specs = specs_of(cls)
    layers = [overrides, from_environment(environ)]
    used: dict[str, Raw | None] = {}

    def early(name: str) -> Any:
        raw = used[name] = _winner(layers, name)
        try:
            return decode(specs[name], raw.value) if raw is not None else None
        except DecodeError:  # build() reports it with the others
            return None

    layers.extend(_env_file(early("ENV_FILE"), env_file, environ))
    names = [name for spec in specs.values() for name in spec.names]
    layers.extend(from_secrets_dir(Path(str(folder)), names) for folder in _each(early("SECRETS_DIR")))
    layers.extend(_customised(cls, names))
    if providers := _each(early("SECRETS_PROVIDER")):
        access = CloudAccess(**{field: early(name) for field, name in _ACCESS.items()})
        layers.extend(from_provider(str(url), names, access) for url in providers)
    if (path := early("SETTINGS_FILE")) is not None:
        layers.append(from_settings_file(Path(str(path)), cls.model_fields))
    _drop_late(layers, used)
    return layers


def _winner(layers: list[Layer], name: str) -> Raw | None:
    return next((layer.values[name] for layer in layers if name in layer.values), None)


def _drop_late(layers: list[Layer], used: Mapping[str, Raw | None]) -> None:
    """Report where a setting about the sources stands in a source that is read too late for it."""
    for name, raw in used.items():
        late = _winner(layers, name)
        if late is raw or late is None or name in _ACCESS.values():
            continue
        for layer in layers:
            layer.values.pop(name, None)
        message = "has no effect here: it must be known before this source is read"
        layers[0].problems.append(
            Problem(name, message, origin=late.origin, id="settings.no-effect", severity="warning")
        )


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _env_file(
    named: str | None, env_file: "str | Path | Search | None", environ: Mapping[str, str]
) -> list[Layer]:
    if isinstance(env_file, Search):
        if named is not None and named.lower() in ("off", "none"):
            return []
        env_file = _search() if named is None else Path(named)
    return [] if env_file is None else [from_env_file(Path(env_file), environ)]


def _search() -> Path | None:
    try:
        return find_env_file(Path.cwd())
    except OSError:  # the working directory has been removed
        return None


def _customised(cls: type[BaseSettings], names: list[str]) -> Iterator[Layer]:
    if cls.settings_customise_sources.__module__ == "shared.config._settings":  # not overridden
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

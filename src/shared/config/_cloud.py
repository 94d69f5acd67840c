"""Secret managers, through the sources of pydantic-settings."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from inspect import signature
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import create_model
from pydantic_settings import BaseSettings

from shared.config._report import Problem, printable
from shared.config._sources import Layer

_UPGRADE: Final = "pip install --upgrade pydantic-settings"
_INSTALL: Final = {
    "aws-sm": "pip install 'libs-shared[aws]'",
    "aws-ssm": "pip install 'libs-shared[aws]'",
    "gcp-sm": "pip install 'pydantic-settings[gcp-secret-manager]'",
    "azure-kv": "pip install 'pydantic-settings[azure-key-vault]'",
}


def flat_model(names: Iterable[str]) -> type[BaseSettings]:
    """Return a settings class with one undecoded field per name.

    The sources of pydantic-settings look for the fields of a class; ours are in
    sections, so they are shown this one.
    """
    fields: dict[str, Any] = dict.fromkeys(names, (Any, None))
    return create_model("FlatSettings", __base__=BaseSettings, **fields)


def from_provider(url: str, names: Iterable[str], region: str | None) -> Layer:
    """Ask the secret manager at *url* for the settings called *names*.

    Whatever goes wrong becomes a problem: a missing library with the line that
    installs it, and a refused or failed call with the name of its error. The
    error's own text is left out: it may quote what was sent.
    """
    layer = Layer("secret manager")
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    make = _PROVIDERS.get(parts.scheme)
    if make is None:
        known = ", ".join(f"{scheme}://" for scheme in _PROVIDERS)
        message = f"expected URLs with one of the schemes {known}"
        layer.problems.append(Problem("SECRETS_PROVIDER", message, value=printable(parts.scheme)))
        return layer
    where = f"{parts.scheme}://{parts.netloc}{parts.path}"
    try:
        values = make(parts, flat_model(names), region)()
    except _TooOldError:
        message = f"the installed pydantic-settings does not know {parts.scheme}"
        problem = Problem("SECRETS_PROVIDER", message, fix=_UPGRADE, id="settings.extra")
        layer.problems.append(problem)
    except ImportError:
        message = f"{parts.scheme} needs a library that is not installed; run: {_INSTALL[parts.scheme]}"
        layer.problems.append(
            Problem("SECRETS_PROVIDER", message, fix=_INSTALL[parts.scheme], id="settings.extra")
        )
    except Exception as exc:  # noqa: BLE001 - each supplier has its own errors
        message = f"{printable(where)} could not be read: {type(exc).__name__}"
        layer.problems.append(Problem("SECRETS_PROVIDER", message, id="settings.secret-manager"))
    else:
        fill(layer, values, printable(where))
    return layer


def fill(layer: Layer, values: Mapping[str, Any], origin: str) -> None:
    """Put *values* into *layer*, flat or grouped by section; None counts as not set."""
    for name, value in values.items():
        if isinstance(value, Mapping) and not name.isupper():
            fill(layer, value, origin)
        elif value is not None:
            layer.add(name, value, origin)


def _query(parts: SplitResult) -> dict[str, str]:
    return {key: items[-1] for key, items in parse_qs(parts.query).items()}


def _source(name: str, *parameters: str, module: str = "pydantic_settings") -> Any:
    """Return a source of pydantic-settings, which has gained them, and their *parameters*, one by one."""
    try:
        source = getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError):
        raise _TooOldError from None
    if not set(parameters) <= set(signature(source).parameters):
        raise _TooOldError
    return source


class _TooOldError(Exception):
    """The installed pydantic-settings does not have the source."""


def _aws_sm(parts: SplitResult, model: type[BaseSettings], region: str | None) -> Any:
    source = _source("AWSSecretsManagerSettingsSource", "region_name", "endpoint_url", "case_sensitive")
    return _aws(source, f"{parts.netloc}{parts.path}", parts, model, region)


def _aws_ssm(parts: SplitResult, model: type[BaseSettings], region: str | None) -> Any:
    module = "pydantic_settings.sources.providers.aws"
    source = _source("AWSSystemsManagerSettingsSource", module=module)
    return _aws(source, parts.path or "/", parts, model, region)


def _aws(source: Any, where: str, parts: SplitResult, model: type[BaseSettings], region: str | None) -> Any:
    query = _query(parts)
    return source(
        model,
        where,
        region_name=query.get("region", region),
        endpoint_url=query.get("endpoint_url"),
        case_sensitive=True,
    )


def _gcp_sm(parts: SplitResult, model: type[BaseSettings], _region: str | None) -> Any:
    source = _source("GoogleSecretManagerSettingsSource", "project_id", "case_sensitive")
    return source(model, project_id=parts.netloc or None, case_sensitive=True)


def _azure_kv(parts: SplitResult, model: type[BaseSettings], _region: str | None) -> Any:
    source = _source("AzureKeyVaultSettingsSource", "case_sensitive", "dash_to_underscore")
    from azure.identity import DefaultAzureCredential  # type: ignore[import-not-found,unused-ignore]

    credential = DefaultAzureCredential()
    url = f"https://{parts.netloc}"
    return source(model, url, credential, case_sensitive=True, dash_to_underscore=True)


_PROVIDERS: Final[Mapping[str, Callable[[SplitResult, type[BaseSettings], str | None], Any]]] = {
    "aws-sm": _aws_sm,
    "aws-ssm": _aws_ssm,
    "azure-kv": _azure_kv,
    "gcp-sm": _gcp_sm,
}

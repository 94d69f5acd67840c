"""Secret managers, through the sources of pydantic-settings."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class CloudAccess:
    """How a supplier is reached, as far as the sources read before tell.

    What is None is found by the supplier's own library: the process's variables, the
    files in the home directory, the role of the machine.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)

    @property
    def is_explicit(self) -> bool:
        """Whether there is something that the library would not find by itself."""
        return self.profile is not None or None not in (self.access_key_id, self.secret_access_key)


def from_provider(url: str, names: Iterable[str], access: CloudAccess) -> Layer:
    """Ask the secret manager at *url* for the settings called *names*.

    Whatever goes wrong becomes a problem: a missing library with the line that
    installs it, and a refused or failed call with what it means and the name of its
    error. The error's own text is left out: it may quote what was sent.
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
        values = make(parts, flat_model(names), access)()
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
        message = f"{printable(where)} could not be read: {_meaning(exc)}"
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


_REASONS: Final[Mapping[str, str]] = {
    "NoCredentialsError": "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "or AWS_PROFILE, or give the machine a role",
    "PartialCredentialsError": "half of the credentials is missing: AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY belong together",
    "ProfileNotFound": "the profile of AWS_PROFILE does not exist",
    "NoRegionError": "no region: set AWS_REGION, or add ?region= to the URL",
    "EndpointConnectionError": "the server cannot be reached",
    "ConnectTimeoutError": "the server cannot be reached",
    "ExpiredToken": "the credentials have expired",
    "ExpiredTokenException": "the credentials have expired",
    "RequestExpired": "the credentials have expired",
    "InvalidClientTokenId": "the credentials were refused",
    "InvalidSignatureException": "the credentials were refused",
    "UnrecognizedClientException": "the credentials were refused",
    "AccessDenied": "the credentials do not allow to read it",
    "AccessDeniedException": "the credentials do not allow to read it",
    "ResourceNotFoundException": "it does not exist",
    "JSONDecodeError": "the secret is not a JSON object of names and values",
    "DefaultCredentialsError": "no credentials were found: set GOOGLE_APPLICATION_CREDENTIALS, "
    "or give the machine a service account",
    "PermissionDenied": "the credentials do not allow to read it",
    "Unauthenticated": "the credentials were refused",
}


def _meaning(error: Exception) -> str:
    """Return what *error* means and its name, without its text."""
    name = type(error).__name__
    response = getattr(error, "response", None)
    told = response.get("Error", {}) if isinstance(response, Mapping) else {}
    code = told.get("Code") if isinstance(told, Mapping) else None
    known = code if isinstance(code, str) and code in _REASONS else name
    return f"{_REASONS[known]} ({known})" if known in _REASONS else name


def _aws_sm(parts: SplitResult, model: type[BaseSettings], access: CloudAccess) -> Any:
    source = _source("AWSSecretsManagerSettingsSource", "region_name", "endpoint_url", "case_sensitive")
    source = _with_access(source, "_secretsmanager_client", "secretsmanager", parts, access)
    return _aws(source, f"{parts.netloc}{parts.path}", parts, model, access)


def _aws_ssm(parts: SplitResult, model: type[BaseSettings], access: CloudAccess) -> Any:
    module = "pydantic_settings.sources.providers.aws"
    source = _source("AWSSystemsManagerSettingsSource", module=module)
    source = _with_access(source, "_ssm_client", "ssm", parts, access)
    return _aws(source, parts.path or "/", parts, model, access)


def _aws(source: Any, where: str, parts: SplitResult, model: type[BaseSettings], access: CloudAccess) -> Any:
    return source(model, where, **_place(parts, access), case_sensitive=True)


def _place(parts: SplitResult, access: CloudAccess) -> dict[str, str | None]:
    query = _query(parts)
    return {
        "region_name": query.get("region", access.region),
        "endpoint_url": query.get("endpoint_url", access.endpoint_url),
    }


def _with_access(source: Any, attribute: str, service: str, parts: SplitResult, access: CloudAccess) -> Any:
    """Return *source*, or one like it whose client has the credentials of our settings.

    The source makes a client of its own, which knows the process's variables and not, for
    instance, what stands in a ``.env`` file; it is changed before anything is asked.
    """
    if not access.is_explicit:
        return source
    if not hasattr(source, "_load_env_vars"):
        raise _TooOldError
    session = import_module("boto3").Session(
        profile_name=access.profile,
        aws_access_key_id=access.access_key_id,
        aws_secret_access_key=access.secret_access_key,
        aws_session_token=access.session_token,
    )
    client = session.client(service, **_place(parts, access))

    def load(self: Any) -> Any:
        setattr(self, attribute, client)
        return source._load_env_vars(self)  # noqa: SLF001 - what it overrides

    return type(source.__name__, (source,), {"_load_env_vars": load})


def _gcp_sm(parts: SplitResult, model: type[BaseSettings], _access: CloudAccess) -> Any:
    source = _source("GoogleSecretManagerSettingsSource", "project_id", "case_sensitive")
    return source(model, project_id=parts.netloc or None, case_sensitive=True)


def _azure_kv(parts: SplitResult, model: type[BaseSettings], _access: CloudAccess) -> Any:
    source = _source("AzureKeyVaultSettingsSource", "case_sensitive", "dash_to_underscore")
    from azure.identity import DefaultAzureCredential  # type: ignore[import-not-found,unused-ignore]

    credential = DefaultAzureCredential()
    url = f"https://{parts.netloc}"
    return source(model, url, credential, case_sensitive=True, dash_to_underscore=True)


_PROVIDERS: Final[Mapping[str, Callable[[SplitResult, type[BaseSettings], CloudAccess], Any]]] = {
    "aws-sm": _aws_sm,
    "aws-ssm": _aws_ssm,
    "azure-kv": _azure_kv,
    "gcp-sm": _gcp_sm,
}

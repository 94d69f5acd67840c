"""Who and where the process is, and where its settings come from."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from shared.config._field import Section, setting
from shared.constants import Environment

_SHORT: Final = {"dev": "development", "test": "testing", "stage": "staging", "prod": "production"}


def _environment(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    return _SHORT.get(word, word)


class AppSettings(Section):
    """The process itself: ``settings.app``.

    Example:
        >>> AppSettings(ENVIRONMENT="prod").is_production
        True
    """

    ENVIRONMENT: Annotated[Environment, BeforeValidator(_environment)] = setting(
        Environment.DEVELOPMENT,
        "Where the process runs; it chooses the profile of defaults and rules. "
        "The short forms dev, test, stage and prod are understood.",
    )
    DEBUG: bool = setting(False, "Debug mode of the frameworks; refused in production.")
    SERVICE_NAME: str = setting(
        "service",
        "Name of the service in logs, metrics and traces.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        expects="up to 64 letters, digits, dots, hyphens or underscores",
    )
    SERVICE_VERSION: str = setting(
        "0.0.0",
        "Version of the service in logs, metrics and traces.",
        pattern=r"^[!-~]{1,64}$",
        expects="up to 64 characters without spaces",
    )
    ENV_FILE: str | None = setting(
        None,
        "Path of the .env file, read from the environment only; 'off' reads none. When it is not set, "
        "the nearest .env between the working directory and the root of the project is read.",
    )
    SECRETS_DIR: list[str] = setting(
        [], "Directories with one file per setting, such as /run/secrets; the first that has the file wins."
    )
    SECRETS_PROVIDER: list[str] = setting(
        [],
        "Secret managers to ask, as URLs: aws-sm://SECRET_ID?region=R, aws-ssm:///PATH?region=R, "
        "gcp-sm://PROJECT, azure-kv://VAULT.vault.azure.net.",
    )
    SETTINGS_FILE: str | None = setting(
        None, "Path of a TOML, YAML or JSON file with settings, flat or by section."
    )
    SETTINGS_STRICT: bool = setting(
        False,
        "Whether an unknown variable in one of the library's namespaces is an error instead of a warning.",
    )

    @property
    def is_production(self) -> bool:
        """Whether the process runs in production."""
        return self.ENVIRONMENT is Environment.PRODUCTION

"""Short ways to build settings in tests."""

import secrets

from shared.config import Settings
from shared.errors import ConfigurationError

STRONG = secrets.token_urlsafe(64)

#: The least that production accepts.
PRODUCTION = {"ENVIRONMENT": "production", "JWT_SECRET_KEY": STRONG}


def load(env_file=None, cls=Settings, **environ):
    """Settings from nothing but *environ* and *env_file*."""
    return cls(environ=environ, env_file=env_file)


def refusal(env_file=None, cls=Settings, **environ):
    """The error that *environ* is refused with."""
    try:
        cls(environ=environ, env_file=env_file)
    except ConfigurationError as error:
        return error
    raise AssertionError("the settings were accepted")


def problems(env_file=None, cls=Settings, **environ):
    """The refused variables, each with its problem as plain data."""
    found = refusal(env_file, cls, **environ).details["problems"]
    return {problem["variable"]: problem for problem in found}

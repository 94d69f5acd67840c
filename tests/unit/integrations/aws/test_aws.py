"""Against a real server that speaks Amazon's protocols: settings out of it, and clients by the settings."""

import inspect
import json
import logging
import socket
import sys
from contextlib import suppress
from importlib import import_module

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from shared.config import AWSSettings, explain
from shared.errors import (
    AuthorizationError,
    ConfigurationError,
    ExternalServiceError,
    MissingDependencyError,
    RateLimitError,
    ResourceNotFoundError,
    ServiceUnavailableError,
    SharedError,
)
from shared.integrations.aws import aws_client, aws_errors
from tests.unit.config._helpers import load, refusal

KEYS = {
    "aws_access_key_id": "test-key",
    "aws_secret_access_key": "test-secret",
    "region_name": "eu-central-1",
}


def known(name, *parameters):
    """Whether the installed pydantic-settings has this source: it has gained them one by one."""
    try:
        source = getattr(import_module("pydantic_settings.sources.providers.aws"), name)
    except (ImportError, AttributeError):
        return False
    return set(parameters) <= set(inspect.signature(source).parameters)


SECRETS = [
    "aws-sm://orders/prod"
    for _ in range(1)
    if known("AWSSecretsManagerSettingsSource", "region_name", "endpoint_url", "case_sensitive")
]
MANAGERS = SECRETS + ["aws-ssm:///orders/prod" for _ in range(1) if known("AWSSystemsManagerSettingsSource")]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No credentials of this machine, and nobody to ask for a role."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture(scope="module")
def server():
    noise = logging.getLogger("werkzeug")
    level = noise.level
    noise.setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    secrets = boto3.client("secretsmanager", endpoint_url=url, **KEYS)
    for name in ("orders/prod", "orders/odd"):  # what a server keeps belongs to the process
        with suppress(ClientError):
            secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    secrets.create_secret(
        Name="orders/prod", SecretString=json.dumps({"DB_POOL_SIZE": "7", "JWT_SECRET_KEY": "s" * 40})
    )
    secrets.create_secret(Name="orders/odd", SecretString="not json")
    parameters = boto3.client("ssm", endpoint_url=url, **KEYS)
    parameters.put_parameter(Name="/orders/prod/DB_POOL_SIZE", Value="7", Type="String", Overwrite=True)
    parameters.put_parameter(
        Name="/orders/prod/JWT_SECRET_KEY", Value="s" * 40, Type="SecureString", Overwrite=True
    )
    secrets.close()
    parameters.close()
    yield url
    server.stop()
    noise.setLevel(level)


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test-key",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_REGION": "eu-central-1",
}


@pytest.mark.parametrize("where", MANAGERS)
def test_settings_come_from_the_manager_with_the_credentials_of_the_settings(server, where):
    settings = load(SECRETS_PROVIDER=where, AWS_ENDPOINT_URL=server, **CREDENTIALS)

    assert settings.database.DB_POOL_SIZE == 7
    assert settings.security.JWT_SECRET_KEY.get_secret_value() == "s" * 40
    assert explain("DB_POOL_SIZE", settings).origin == where


@pytest.mark.parametrize("where", SECRETS)
def test_a_profile_of_the_settings_is_used(server, nowhere, where):
    (nowhere / "credentials").write_text("[orders]\naws_access_key_id = k\naws_secret_access_key = s\n")

    settings = load(
        SECRETS_PROVIDER=where,
        AWS_ENDPOINT_URL=server,
        AWS_PROFILE="orders",
        AWS_REGION="eu-central-1",
    )

    assert settings.database.DB_POOL_SIZE == 7


WRONG = [
    ("aws-sm://orders/absent", {}, "it does not exist (ResourceNotFoundException)"),
    ("aws-sm://orders/odd", {}, "the secret is not a JSON object"),
    ("aws-sm://orders/prod", {"AWS_PROFILE": "absent"}, "the profile of AWS_PROFILE does not exist"),
    ("aws-sm://orders/prod", {"AWS_REGION": None}, "no region: set AWS_REGION"),
    (
        "aws-sm://orders/prod",
        {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        "no credentials were found",
    ),
]
IDS = ["absent", "no json", "profile", "region", "credentials"]


@pytest.mark.parametrize(("where", "change", "meaning"), WRONG if SECRETS else [], ids=IDS if SECRETS else [])
def test_what_is_wrong_is_told_without_a_secret(server, where, change, meaning):
    values = {name: value for name, value in {**CREDENTIALS, **change}.items() if value is not None}

    error = refusal(SECRETS_PROVIDER=where, AWS_ENDPOINT_URL=server, **values)

    assert meaning in str(error)
    assert "test-secret" not in str(error)


@pytest.mark.parametrize("where", SECRETS)
def test_a_manager_that_cannot_be_reached_is_told(monkeypatch, where):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        error = refusal(SECRETS_PROVIDER=where, AWS_ENDPOINT_URL=url, **CREDENTIALS)

    assert "the server cannot be reached (EndpointConnectionError)" in str(error)


def section(**values):
    return AWSSettings(**{**CREDENTIALS, **values})


def test_a_client_reaches_the_service_of_the_settings(server):
    client = aws_client("secretsmanager", section(AWS_ENDPOINT_URL=server))

    with aws_errors("secretsmanager"):
        found = client.get_secret_value(SecretId="orders/prod")
    client.close()

    assert json.loads(found["SecretString"])["DB_POOL_SIZE"] == "7"


def test_what_does_not_exist_is_told(server):
    client = aws_client("secretsmanager", section(AWS_ENDPOINT_URL=server))

    with pytest.raises(ResourceNotFoundError) as caught, aws_errors("secretsmanager"):
        client.get_secret_value(SecretId="orders/absent")
    client.close()

    assert caught.value.details["service"] == "secretsmanager"


def test_without_credentials_the_settings_are_named(server):
    client = aws_client("sqs", AWSSettings(AWS_REGION="eu-central-1", AWS_ENDPOINT_URL=server))

    with (
        pytest.raises(ConfigurationError, match="no credentials were found: set AWS_ACCESS_KEY_ID"),
        aws_errors("sqs"),
    ):
        client.list_queues()
    client.close()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"AWS_REGION": None}, "no region: set AWS_REGION"),
        ({"AWS_PROFILE": "absent"}, "the profile of AWS_PROFILE does not exist"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "belong together"),
    ],
    ids=["region", "profile", "half"],
)
def test_a_wrong_setting_is_named_when_the_client_is_made(values, message):
    with pytest.raises(ConfigurationError, match=message):
        aws_client("sqs", section(**values))


def test_a_service_that_is_none_is_told():
    with pytest.raises(ConfigurationError, match="boto3 knows no such service"):
        aws_client("nosuchservice", section())


def test_a_service_that_cannot_be_reached_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = aws_client("sqs", section(AWS_ENDPOINT_URL=f"http://127.0.0.1:{taken.getsockname()[1]}"))
        with pytest.raises(ServiceUnavailableError, match="sqs cannot be reached"), aws_errors("sqs"):
            client.list_queues()
        client.close()


@pytest.mark.parametrize(
    ("code", "status", "kind", "retryable"),
    [
        ("ExpiredTokenException", 400, ExternalServiceError, False),
        ("ExpiredToken", 403, ExternalServiceError, False),
        ("UnrecognizedClientException", 400, ExternalServiceError, False),
        ("AccessDeniedException", 400, AuthorizationError, False),
        ("ThrottlingException", 400, RateLimitError, True),
        ("NoSuchBucket", 404, ResourceNotFoundError, False),
        ("InternalError", 500, ExternalServiceError, True),
        ("ServiceUnavailable", 503, ServiceUnavailableError, True),
        ("ValidationError", 400, ExternalServiceError, False),
    ],
)
def test_answers_become_our_errors_without_their_sentences(code, status, kind, retryable):
    answer = {
        "Error": {"Code": code, "Message": "secret sentence"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }

    with pytest.raises(SharedError) as caught, aws_errors("s3"):
        raise ClientError(answer, "GetObject")

    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert "secret sentence" not in str(caught.value) + str(caught.value.details)


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[aws\]"):
        aws_client("sqs", section())

"""Secret managers and sources of a service, through pydantic-settings."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic_settings import PydanticBaseSettingsSource, TomlConfigSettingsSource

import shared
from shared.config import Settings, explain
from tests.unit.config._helpers import load, problems, refusal

INSTALL = {
    "aws-sm://orders/prod": "pip install 'libs-shared[aws]'",
    "aws-ssm:///orders/prod": "pip install 'libs-shared[aws]'",
    "gcp-sm://shop-1": "pip install 'pydantic-settings[gcp-secret-manager]'",
    "azure-kv://shop.vault.azure.net": "pip install 'pydantic-settings[azure-key-vault]'",
}


UPGRADE = "pip install --upgrade pydantic-settings"
CLIENTS = ("boto3", "google.auth", "azure.identity")


def known(url):
    """Whether the installed pydantic-settings has this source: it has gained them one by one."""
    with pytest.MonkeyPatch.context() as patch:
        for module in CLIENTS:  # an installed client would go and ask
            patch.setitem(sys.modules, module, None)
        return problems(SECRETS_PROVIDER=url)["SECRETS_PROVIDER"]["fix"] != UPGRADE


KNOWN = [url for url in INSTALL if known(url)]
AWS = [
    (kind, where)
    for kind, where in (("aws-sm", "orders"), ("aws-ssm", "/orders"))
    if known(f"{kind}://{where}")
]


@pytest.mark.parametrize("url", KNOWN)
def test_a_library_that_is_not_installed_is_named_with_the_line_that_installs_it(url, monkeypatch):
    for module in CLIENTS:
        monkeypatch.setitem(sys.modules, module, None)

    found = problems(SECRETS_PROVIDER=url, DB_POOL_SIZE="many")

    assert found["SECRETS_PROVIDER"]["fix"] == INSTALL[url]
    assert INSTALL[url] in found["SECRETS_PROVIDER"]["message"]
    assert "DB_POOL_SIZE" in found


@pytest.mark.parametrize(
    "url", ["vault://secret/x", "orders", "://", "aws-sm", "http://[", "https://u:hunter2@x"]
)
def test_an_unknown_provider_is_refused_without_showing_it(url):
    error = refusal(SECRETS_PROVIDER=url)

    assert "expected URLs with one of the schemes aws-sm://, aws-ssm://, azure-kv://, gcp-sm://" in str(error)
    assert "hunter2" not in str(error)


# A library of the supplier in a few lines: it talks HTTP to a server of ours, as the real one would.
BOTO3 = """
import json, urllib.request

class Client:
    def __init__(self, service, url):
        self.service, self.url = service, url

    def ask(self, **body):
        request = urllib.request.Request(f"{self.url}/{self.service}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def get_secret_value(self, **body):
        return self.ask(**body)

    def get_paginator(self, name):
        return self

    def paginate(self, **body):
        return [self.ask(**body)]


def client(service, region_name=None, endpoint_url=None):
    if region_name != "eu-central-1":
        raise ValueError(f"no region for s3cret: {region_name}")
    return Client(service, endpoint_url)
"""


@pytest.fixture
def aws(tmp_path, monkeypatch):
    """The address of a server that keeps secrets, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            values = {"DB_POOL_SIZE": "7", "JWT_SECRET_KEY": "from-the-manager", "ELSEWHERE": "x"}
            if self.path == "/secretsmanager":
                answer = {"SecretString": json.dumps(values)}
            else:
                answer = {
                    "Parameters": [
                        {"Name": f"/orders/{name}", "Value": value} for name, value in values.items()
                    ]
                }
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    (tmp_path / "boto3.py").write_text(textwrap.dedent(BOTO3))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "boto3", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()
    sys.modules.pop("boto3", None)


@pytest.mark.parametrize(("kind", "where"), AWS)
def test_settings_are_read_from_a_secret_manager(aws, kind, where):
    address, asked = aws
    url = f"{kind}://{where}?endpoint_url={address}"

    settings = load(SECRETS_PROVIDER=url, AWS_REGION="eu-central-1")

    assert settings.database.DB_POOL_SIZE == 7
    assert settings.security.JWT_SECRET_KEY.get_secret_value() == "from-the-manager"
    assert explain("DB_POOL_SIZE", settings).origin == f"{kind}://{where}"
    assert len(asked) == 1


@pytest.mark.parametrize(("kind", "where"), AWS)
def test_the_environment_wins_over_a_secret_manager(aws, kind, where):
    url = f"{kind}://{where}?region=eu-central-1&endpoint_url={aws[0]}"

    assert load(SECRETS_PROVIDER=url, DB_POOL_SIZE="9").database.DB_POOL_SIZE == 9


@pytest.mark.parametrize(("kind", "where"), AWS)
def test_a_secret_manager_that_fails_is_a_problem_without_its_own_words(aws, kind, where):
    error = refusal(SECRETS_PROVIDER=f"{kind}://{where}?region=mars")

    assert f"{kind}://{where} could not be read: ValueError" in str(error)
    assert "s3cret" not in str(error)


GOOGLE = {
    "google/__init__.py": "",
    "google/auth/__init__.py": "def default():\n    return object(), 'shop-1'\n",
    "google/auth/credentials.py": "class Credentials: ...\n",
    "google/api_core/__init__.py": "",
    "google/api_core/exceptions.py": "class NotFound(Exception): ...\n",
    "google/cloud/__init__.py": "",
    "google/cloud/secretmanager.py": """
from types import SimpleNamespace as Data
from google.api_core.exceptions import NotFound

class SecretManagerServiceClient:
    def __init__(self, credentials=None): ...

    def common_project_path(self, project):
        return f"projects/{project}"

    def secret_version_path(self, project, name, version):
        return f"projects/{project}/secrets/{name}/versions/{version}"

    def access_secret_version(self, name):
        if name != "projects/shop-1/secrets/DB_POOL_SIZE/versions/latest":
            raise NotFound(name)
        return Data(payload=Data(data=b"7"))
""",
}
AZURE = {
    "azure/__init__.py": "",
    "azure/identity.py": "class DefaultAzureCredential: ...\n",
    "azure/core/__init__.py": "",
    "azure/core/credentials.py": "class TokenCredential: ...\n",
    "azure/core/exceptions.py": "class ResourceNotFoundError(Exception): ...\n",
    "azure/keyvault/__init__.py": "",
    "azure/keyvault/secrets.py": """
from types import SimpleNamespace as Data

class SecretClient:
    def __init__(self, vault_url, credential):
        assert vault_url == "https://shop.vault.azure.net"

    def list_properties_of_secrets(self):
        return [Data(name="DB-POOL-SIZE", enabled=True)]

    def get_secret(self, name):
        return Data(value="7")
""",
}


LIBRARIES = {"gcp-sm://shop-1": GOOGLE, "azure-kv://shop.vault.azure.net": AZURE}


@pytest.mark.parametrize("url", [url for url in LIBRARIES if url in KNOWN])
def test_the_other_clouds_are_asked_for_the_same_names(tmp_path, url):
    for name, text in LIBRARIES[url].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    code = (
        "from shared.config import Settings, explain\n"
        f"settings = Settings(environ={{'SECRETS_PROVIDER': {url!r}}}, env_file=None)\n"
        "print(settings.database.DB_POOL_SIZE, explain('DB_POOL_SIZE', settings).origin)\n"
    )
    source = Path(shared.__file__).parent.parent
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{source}"}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=60)

    assert (done.stdout, done.stderr) == (f"7 {url}\n", "")


# --- a service's own sources ---------------------------------------------------------------


def test_a_service_adds_sources_of_pydantic_settings(tmp_path):
    (tmp_path / "extra.toml").write_text('DB_POOL_SIZE = 7\nSERVICE_NAME = "orders"\n')

    class Service(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            extra = TomlConfigSettingsSource(settings_cls, tmp_path / "extra.toml")
            first = super().settings_customise_sources(
                settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
            )
            return *first, env_settings, dotenv_settings, file_secret_settings, extra

    settings = load(cls=Service, SERVICE_NAME="shop")

    assert settings.database.DB_POOL_SIZE == 7
    assert settings.app.SERVICE_NAME == "shop"
    assert explain("DB_POOL_SIZE", settings).origin == "TomlConfigSettingsSource"


class Vault(PydanticBaseSettingsSource):
    """A source of a service: settings by section, one of them without a value."""

    def get_field_value(self, field, field_name):
        raise NotImplementedError

    def __call__(self):
        return {"database": {"DB_POOL_SIZE": 8, "DB_POOL_TIMEOUT": None}, "SERVICE_NAME": "vault"}


class BrokenVault(Vault):
    def __call__(self):
        raise RuntimeError("token s3cret refused")


@pytest.mark.parametrize("source", [Vault, BrokenVault])
def test_a_source_of_a_service_is_asked_and_its_failure_reported(source):
    class Service(Settings):
        @classmethod
        def settings_customise_sources(cls, settings_cls, *given, **named):
            return (*given, *named.values(), source(settings_cls))

    if source is Vault:
        settings = load(cls=Service)
        assert (settings.database.DB_POOL_SIZE, settings.app.SERVICE_NAME) == (8, "vault")
    else:
        error = refusal(cls=Service)
        assert "BrokenVault: could not be read: RuntimeError" in str(error)
        assert "s3cret" not in str(error)

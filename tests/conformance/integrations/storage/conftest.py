import logging
import urllib.request
import uuid

import pytest

from shared.config import Settings, use_settings
from shared.integrations.storage import Storage
from shared.runtime import Runtime, use
from tests.conformance.integrations.storage._face import Face, runner
from tests.conformance.integrations.storage._gcs_server import GCSServer

BACKENDS = ("memory", "file", "s3", "gs")
S3_KEYS = {"access_key_id": "AKIATESTKEY", "secret_access_key": "s3-secret-value", "region": "us-east-1"}


@pytest.fixture(scope="session")
def s3_url():
    """Address of a real S3 server with the bucket ``objects``, started for the run."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    request = urllib.request.Request(f"{url}/objects", method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    yield url
    server.stop()


@pytest.fixture(scope="session")
def gcs_url():
    """Address of a server of the XML API with the bucket ``objects``, started for the run."""
    with GCSServer("objects") as server:
        yield server.url


@pytest.fixture(autouse=True)
def runtime():
    """A runtime of its own: breakers and settings of one test are not those of the next."""
    made = Runtime("storage-tests")
    use_settings(Settings(environ={}, env_file=None, ENVIRONMENT="testing", RETRY_DELAY=0.01), runtime=made)
    with use(made):
        yield made
    made.close()


@pytest.fixture(params=BACKENDS)
def make_storage(request, tmp_path):
    """A function that makes an empty storage of each kind."""
    kind = request.param
    prefix = uuid.uuid4().hex

    def make(**options):
        if kind == "memory":
            return Storage("memory://", **options)
        if kind == "file":
            return Storage(f"file://{tmp_path}/objects?fsync=off", **{"signing_key": "k" * 32, **options})
        if kind == "s3":
            endpoint = request.getfixturevalue("s3_url")
            return Storage(f"s3://objects/{prefix}", endpoint_url=endpoint, **S3_KEYS, **options)
        endpoint = request.getfixturevalue("gcs_url")
        return Storage(f"gs://objects/{prefix}", endpoint_url=endpoint, **options)

    make.kind = kind
    return make


@pytest.fixture(params=["sync", "async"])
def make_face(request, make_storage):
    """A function that makes an empty storage of each kind, behind each of its two faces."""
    made, loops = [], []

    def make(**options):
        storage = make_storage(**options)
        made.append(storage)
        if request.param == "sync":
            return Face(storage)
        loop = runner()
        loops.append(loop)
        return Face(storage.aio, loop)

    make.kind = make_storage.kind
    yield make
    for loop in loops:
        loop.close()
    for storage in made:
        storage.close()


@pytest.fixture
def store(make_face):
    return make_face()

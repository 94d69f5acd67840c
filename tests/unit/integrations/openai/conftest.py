"""Both clients behind one face, against a real server on the loopback."""

import asyncio
import contextvars

import pytest

from shared.integrations.openai import AsyncOpenAIClient, OpenAIClient
from shared.monitoring import AIMetrics, Metrics, Tracer
from shared.resilience import BreakerRegistry, RetryPolicy
from shared.runtime import Runtime, use
from shared.testing import FakeOpenAI


class Driver:
    """Calls a client of either kind and returns what it returns."""

    def __init__(self, client, runner):
        self.client = client
        self._runner = runner

    def _get(self, value):
        return value if self._runner is None else self._run(value)

    def _run(self, value):
        # In the context of the test: a deadline or a trace set there is in force.
        return self._runner.run(value, context=contextvars.copy_context())

    def chat(self, *args, **kwargs):
        return self._get(self.client.chat(*args, **kwargs))

    def embed(self, *args, **kwargs):
        return self._get(self.client.embed(*args, **kwargs))

    def run_tools(self, *args, **kwargs):
        return self._get(self.client.run_tools(*args, **kwargs))

    def validate_model(self, model):
        return self._get(self.client.validate_model(model))

    def list_models(self):
        return self._get(self.client.list_models())

    def listen(self, *args, most=None, **kwargs):
        """Read a stream to its end, or *most* pieces of it: return it, its pieces and its error."""
        if self._runner is None:
            return self._listen(args, kwargs, most)
        return self._run(self._alisten(args, kwargs, most))

    def _listen(self, args, kwargs, most):
        pieces = []
        with self.client.stream(*args, **kwargs) as stream:
            try:
                for piece in stream:
                    pieces.append(piece)
                    if len(pieces) == most:
                        break
            except Exception as error:
                return stream, pieces, error
        return stream, pieces, None

    async def _alisten(self, args, kwargs, most):
        pieces = []
        async with await self.client.stream(*args, **kwargs) as stream:
            try:
                async for piece in stream:
                    pieces.append(piece)
                    if len(pieces) == most:
                        break
            except Exception as error:
                return stream, pieces, error
        return stream, pieces, None

    def close(self):
        if self._runner is None:
            self.client.close()
        else:
            self._run(self.client.aclose())


@pytest.fixture(autouse=True)
def _runtime():
    """A runtime of its own for every test: breakers and metrics are nobody else's."""
    runtime = Runtime("test")
    with use(runtime):
        yield
    runtime.close()


@pytest.fixture
def fake():
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def metrics():
    return Metrics(multiprocess=False)


@pytest.fixture
def spans():
    return []


@pytest.fixture
def waits():
    """The waits between tries; nobody really waits."""
    return []


@pytest.fixture(params=["sync", "async"])
def make(request, fake, metrics, spans, waits):
    """Make a client of either kind for *fake*; everything it touches is its own."""
    runner = asyncio.Runner() if request.param == "async" else None
    made = []

    def build(**options):
        given = {
            "base_url": fake.base_url,
            "api_key": fake.api_key,
            "retry": RetryPolicy(options.pop("max_attempts", 3), sleep=waits.append),
            "breakers": BreakerRegistry(),
            "metrics": AIMetrics(metrics),
            "tracer": Tracer([spans.extend]),
            **options,
        }
        kind = OpenAIClient if runner is None else AsyncOpenAIClient
        made.append(Driver(kind(**given), runner))
        return made[-1]

    yield build
    for driver in made:
        driver.close()
    if runner is not None:
        runner.close()


@pytest.fixture
def client(make):
    return make()

import pytest

from benchmarks._tools import AsgiDriver, WsgiDriver, check, log_file, raw_file


async def asgi_app(scope, receive, send):
    assert (await receive())["type"] == "http.request"
    await send({"type": "http.response.start", "status": 201, "headers": [(b"X-One", b"1")]})
    await send({"type": "http.response.body", "body": scope["path"].encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b"!"})


def wsgi_app(environ, start_response):
    start_response("201 Created", [("X-One", "1")])
    return [environ["PATH_INFO"].encode(), b"!"]


@pytest.fixture(params=[(AsgiDriver, asgi_app), (WsgiDriver, wsgi_app)], ids=["asgi", "wsgi"])
def driver(request):
    kind, app = request.param
    made = kind(app, "/a")
    yield made
    made.close()


def test_a_driver_gives_status_headers_and_body(driver):
    assert driver.request() == (201, {"x-one": "1"}, b"/a!")


def test_a_driver_serves_as_many_requests_as_asked():
    served = []

    async def app(scope, receive, send):
        served.append(scope["path"])

    driver = AsgiDriver(app, "/b")
    driver.run(5)
    driver.close()

    assert served == ["/b"] * 5


def test_a_driver_closes_what_a_wsgi_application_returns():
    closed = []

    class Body:
        def __iter__(self):
            return iter([b"x"])

        def close(self):
            closed.append(True)

    WsgiDriver(lambda environ, start_response: Body(), "/").run(3)

    assert closed == [True] * 3


def test_a_check_that_fails_says_what_is_wrong():
    with pytest.raises(AssertionError, match="no line"):
        check(condition=False, message="no line")


def test_a_log_file_is_removed_afterwards():
    import os

    with log_file() as path, raw_file(path) as descriptor:
        os.write(descriptor, b"line\n")
        assert path.read_bytes() == b"line\n"

    assert not path.exists()

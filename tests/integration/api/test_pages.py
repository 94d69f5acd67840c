"""Lists in pages on FastAPI, Starlette and Flask, out of a real database."""

import re
from typing import Annotated, NamedTuple

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from pydantic import BaseModel
from sqlalchemy import Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.routing import Route

from shared.api import Filter, Listing, PageRequest, Success
from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.database import AsyncRepository, Database, Repository
from shared.security import Signer

YEARS = [1959, 1931, 1968, 1931, 1977, 1985, 1999]
CURSORS = Signer("c" * 32, purpose="cursor")


class Own(DeclarativeBase):
    pass


class Film(Own):
    __tablename__ = "films"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    year: Mapped[int] = mapped_column(Integer)


class Shown(BaseModel):
    title: str
    year: int


def show(film):
    return Shown(title=film.title, year=film.year)


RULES = {
    "filters": {"year": Filter(int, ("eq", "ge", "in")), "title": Filter(str, "starts_with")},
    "sort": ("year", "title"),
    "size": 3,
}
BY_CURSOR = Listing(**RULES, total="first_page", signer=CURSORS)
BY_NUMBER = Listing(**RULES, total="always", style="page")
LISTINGS = {"/films": BY_CURSOR, "/pages": BY_NUMBER}


class Got(NamedTuple):
    status: int
    body: dict
    link: str | None
    framework: str


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    made = Database(f"sqlite:///{tmp_path_factory.mktemp('films')}/films.db")
    Own.metadata.create_all(made.engine)
    with made.transaction() as session:
        session.add_all(Film(id=n, title=f"{'AB'[n % 2]}{n}", year=year) for n, year in enumerate(YEARS))
    yield made
    made.close()


def fastapi_app(database):
    app, films = FastAPI(), Repository(Film)
    router = APIRouter(route_class=on_fastapi.EnvelopeRoute)

    def make(listing):
        def list_films(
            page: Annotated[PageRequest, Depends(on_fastapi.page_dependency(listing))],
        ) -> list[Shown]:
            with database.read() as session:
                return page.find_in(films, session, show=show)

        return list_films

    for path, listing in LISTINGS.items():
        router.get(path)(make(listing))
    app.include_router(router)
    return app, on_fastapi


def starlette_app(database):
    films = Repository(Film)

    def make(listing):
        def list_films(request):
            with database.read() as session:
                page = on_starlette.page_request(request, listing).find_in(films, session, show=show)
            return on_starlette.EnvelopeResponse(page)

        return list_films

    return Starlette(routes=[Route(path, make(listing)) for path, listing in LISTINGS.items()]), on_starlette


def flask_app(database):
    app, films = Flask("films"), Repository(Film)

    def make(listing):
        @on_flask.enveloped
        def list_films():
            with database.read() as session:
                return on_flask.page_request(listing).find_in(films, session, show=show)

        return list_films

    for path, listing in LISTINGS.items():
        app.add_url_rule(path, path[1:], make(listing))
    return app, on_flask


APPS = {"fastapi": fastapi_app, "starlette": starlette_app, "flask": flask_app}


class Client:
    def __init__(self, framework, database, runtime, lines):
        self.framework = framework
        app, module = APPS[framework](database)
        module.install_layer(app, runtime=runtime, access=lines)
        module.install_error_handlers(app)
        self._app = app

    def get(self, address):
        if self.framework == "flask":
            answer = self._app.test_client().get(address)
            return Got(answer.status_code, answer.json, answer.headers.get("Link"), self.framework)
        answer = TestClient(self._app).get(address)
        return Got(answer.status_code, answer.json(), answer.headers.get("link"), self.framework)


@pytest.fixture(params=APPS)
def client(request, database, runtime, lines):
    return Client(request.param, database, runtime, lines)


@pytest.fixture
def clients(database, runtime, lines):
    return [Client(name, database, runtime, lines) for name in APPS]


def following(link):
    return re.search(r'<([^>]*)>; rel="next"', link or "")


def walk(client, address):
    """Follow the links to the end; return what came."""
    path, found = address.partition("?")[0], []
    while True:
        answer = client.get(address)
        assert answer.status == 200, answer.body
        found += [film["title"] for film in answer.body["data"]]
        following_link = following(answer.link)
        if following_link is None:
            return found
        address = path + following_link[1]


@pytest.mark.parametrize("path", ["/films", "/pages"])
@pytest.mark.parametrize("query", ["", "sort=-year", "sort=year,-title", "year__ge=1960"])
def test_links_lead_over_every_row_once_and_in_order(client, path, query):
    whole = client.get(f"{path}?{query}&size=100".replace("?&", "?")).body["data"]

    found = walk(client, f"{path}?{query}")

    assert found == [film["title"] for film in whole]
    assert len(set(found)) == (4 if "1960" in query else 7)


def test_total_comes_with_the_first_page_only(client):
    first = client.get("/films?size=2")
    second = client.get("/films" + following(first.link)[1])

    assert first.body["meta"]["total"] == 7
    assert "total" not in second.body["meta"]


def test_page_by_number_tells_where_it_is(client):
    assert client.get("/pages?page=2").body["meta"] == {
        "page": 2,
        "size": 3,
        "total": 7,
        "pages": 3,
        "has_next": True,
        "has_prev": True,
    }


def test_filters_reach_the_database(client):
    answer = client.get("/films?title__starts_with=A&year__in=1931&year__in=1959")

    assert [film["title"] for film in answer.body["data"]] == ["A0"]


def test_text_of_a_filter_is_no_pattern(client):
    assert client.get("/films?title__starts_with=%25").body["data"] == []


def test_cursor_that_was_changed_is_a_400(client):
    cursor = client.get("/films").body["meta"]["next_cursor"]

    answer = client.get(f"/films?after={cursor[:-2]}AA")

    assert (answer.status, answer.body["error"]["code"]) == (400, "BAD_REQUEST")
    assert answer.body["error"]["details"]["reason"] == "cursor_invalid"


ADDRESSES = [
    "/films",
    "/films?size=2&sort=-year",
    "/films?year=abc&size=0&colour=red",
    "/films?after=junk",
    "/pages?page=3&title__starts_with=B",
    "/pages?page=99",
    "/pages?sort=id",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_three_frameworks_answer_alike(clients, address):
    answers = [client.get(address) for client in clients]
    for answer in answers:
        answer.body.pop("timestamp")

    assert [answer[:3] for answer in answers] == [answers[0][:3]] * 3


def test_the_document_of_fastapi_names_every_parameter(database):
    app, module = fastapi_app(database)
    module.install_error_handlers(app)

    operation = app.openapi()["paths"]["/films"]["get"]

    assert {each["name"] for each in operation["parameters"]} == set(BY_CURSOR.names)
    assert "Link" in operation["responses"]["200"]["headers"]
    assert {"400", "422"} <= operation["responses"].keys()


async def test_asynchronous_repository_gives_the_same_pages(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/films.db")
    Own.metadata.create_all(database.engine)
    films = AsyncRepository(Film)
    with database.transaction() as session:
        session.add_all(Film(id=n, title=str(n), year=year) for n, year in enumerate(YEARS))
    try:
        for listing in LISTINGS.values():
            async with database.aio.read() as session:
                success = await listing.read("sort=-year").afind_in(films, session, where={"year__ge": 1980})

            assert isinstance(success, Success)
            assert [film.year for film in success.data] == [1999, 1985]
            assert success.meta["total"] == 2
    finally:
        await database.aclose()

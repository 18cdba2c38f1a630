"""The recipes: each runs as it stands."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import flask
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.support.pipeline import Pipeline
from tests.support.stored import times_stored

from clients.python.tests.sending import KEY
from eye_client.testing import FakeAsyncEye, FakeEye
from schemas.ids import row_id

RECIPES = Path(__file__).parents[1] / "recipes"


async def run(recipe: str, the_eye: Pipeline, *terms: str, **variables: str) -> list[str]:
    """Run a recipe to its end; returns what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-Werror",
        str(RECIPES / recipe),
        *terms,
        env=os.environ | {"EYE_URL": the_eye.gateway.url, "EYE_KEY": KEY} | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    return output.decode().split()


def assert_two_views_of_one_session(fake: FakeEye | FakeAsyncEye) -> None:
    assert [data["path"] for data in fake.of("page interaction", "pageview")] == ["/", "/basket"]
    assert len({event["session_id"] for event in fake.events}) == 1


def test_flask_sends_a_page_view_a_request(fake_eye: FakeEye) -> None:
    from clients.python.recipes.flask_app import send_page_views

    app = flask.Flask("shop")
    app.add_url_rule("/", "home", lambda: "home")
    app.add_url_rule("/basket", "basket", lambda: "basket")
    send_page_views(app, fake_eye)
    with app.test_client() as browser:
        for path in ("/", "/basket", "/missing"):
            browser.get(path)
        browser.post("/")

    assert_two_views_of_one_session(fake_eye)


def test_fastapi_sends_a_page_view_a_request(fake_async_eye: FakeAsyncEye) -> None:
    from clients.python.recipes.asgi_middleware import PageViews

    app = FastAPI()
    app.add_api_route("/", lambda: "home")
    app.add_api_route("/basket", lambda: "basket")
    app.add_middleware(PageViews, eye=fake_async_eye)
    with TestClient(app) as browser:
        for path in ("/", "/basket", "/missing"):
            browser.get(path)
        browser.post("/")

    assert_two_views_of_one_session(fake_async_eye)


def test_django_sends_a_page_view_a_request(fake_eye: FakeEye, monkeypatch: pytest.MonkeyPatch) -> None:
    import django
    from django.conf import settings
    from django.http import HttpResponse
    from django.test import Client
    from django.urls import path

    from clients.python.recipes import django_middleware

    urls = (path("", lambda _: HttpResponse("home")), path("basket", lambda _: HttpResponse("basket")))
    settings.configure(
        ROOT_URLCONF=urls,
        MIDDLEWARE=["clients.python.recipes.django_middleware.page_views"],
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="of a test",
    )
    django.setup()
    monkeypatch.setattr(django_middleware, "client", lambda: fake_eye)
    browser = Client()
    for address in ("/", "/basket", "/missing"):
        browser.get(address)
    browser.post("/")

    assert_two_views_of_one_session(fake_eye)


async def test_a_batch_script_can_be_run_again(the_eye: Pipeline, tmp_path: Path) -> None:
    rows = ({"session_id": "batch", "time": "2021-01-01T09:15:27Z", "host": "h", "path": f"/{n}"} for n in range(7_000))
    (tmp_path / "views.ndjson").write_text("\n".join(map(json.dumps, rows)))
    for _ in range(2):
        await run("batch.py", the_eye, str(tmp_path / "views.ndjson"))

    ids = [str(row_id("shop", f"views.ndjson:{number}")) for number in range(1, 7_001)]
    assert await times_stored(the_eye.settings, ids) == {1: 7_000}


@pytest.mark.parametrize("queue", ["", "queue"])
async def test_workers_of_a_pool_send(the_eye: Pipeline, tmp_path: Path, queue: str) -> None:
    ids = await run("task_worker.py", the_eye, EYE_QUEUE=str(tmp_path / queue) if queue else "")

    assert len(ids) == 100
    assert await times_stored(the_eye.settings, ids) == {1: 100}

"""The shop's backend: three pages, and the orders that it takes."""

from __future__ import annotations

import hashlib
import secrets

from flask import Flask, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from clients.python.recipes.flask_app import session_of
from eye_client import Eye
from schemas.event_types.form_interaction import Submit

ARTICLES = {"teapot": ("Teapot", 24), "cup": ("Cup", 7), "kettle": ("Kettle", 39)}
"""Name and price of what can be bought."""

Answer = str | Response | tuple[str, int]


def create_app(eye: Eye, eye_url: str, public_key: str) -> Flask:
    """Make the shop. Its pages send to The Eye at `eye_url` with the public key, its backend by `eye`."""
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes(32)

    @app.context_processor
    def the_eye() -> dict[str, str | None]:
        return {"eye_url": eye_url, "eye_key": public_key, "user_id": session.get("customer")}

    @app.get("/")
    def front() -> str:
        return render_template("front.html", articles=ARTICLES)

    @app.route("/order/<article>", methods=["GET", "POST"])
    def order(article: str) -> Answer:
        if article not in ARTICLES:
            abort(404)
        name, price = ARTICLES[article]
        if request.method == "GET":
            return render_template("order.html", name=name, price=price)
        email = request.form.get("email", "").strip().lower()
        if "@" not in email:
            return render_template("order.html", name=name, price=price, fault="An e-mail address has an @."), 422
        number = secrets.token_hex(4)
        session["customer"] = hashlib.sha256(email.encode()).hexdigest()[:16]  # the address itself stays here
        eye.send_model(
            Submit(host=request.host, path=request.path, form={"order": number, "article": article, "price": price}),
            session_of(request),
            user_id=session["customer"],
            context={"component": "backend"},
        )
        return redirect(url_for("thanks", number=number), 303)

    @app.get("/thanks/<number>")
    def thanks(number: str) -> str:
        return render_template("thanks.html", number=number)

    return app

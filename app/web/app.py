"""The Flask application: which blueprint answers what, and who may ask."""

from __future__ import annotations

import time
from pathlib import Path

from flask import Flask, request

from app.state.secrets import page_key
from app.web import access, api, boot, errors, files, health, metrics
from app.web.pages import routes as pages
from app.web.rate_limit import limited
from app.web.services import Services
from app.web.session import COOKIE, Sessions
from app.web.sparing import SparingLog
from config.settings import Settings

# No request to us has a body of more than a few bytes.
BODY_LIMIT_BYTES = 64 * 1024
HERE = Path(__file__).parent


def create_app(settings: Settings, services: Services) -> Flask:
    """An application that answers from these services. Makes no connection."""
    app = Flask("omni-metal", static_folder=HERE / "static", template_folder=HERE / "templates")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    sessions = Sessions(page_key(settings), settings.api_token)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]  # fields stand in the order in which they are explained
    log = SparingLog()
    app.before_request(
        lambda: access.check(
            request, settings.api_token, lambda: sessions.valid(request.cookies.get(COOKIE, ""), time.time()), log
        )
    )
    app.register_blueprint(boot.blueprint(services))
    app.register_blueprint(files.blueprint(services))
    app.register_blueprint(health.blueprint(services))
    app.register_blueprint(api.blueprint(services))
    app.register_blueprint(metrics.blueprint(services))
    app.register_blueprint(pages.blueprint(services, sessions))
    errors.register(app)
    app.wsgi_app = limited(app.wsgi_app, settings, services.redis)  # type: ignore[method-assign, assignment]  # Flask wants it so
    return app

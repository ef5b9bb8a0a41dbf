"""The Flask application: which blueprint answers what, and who may ask."""

from __future__ import annotations

from flask import Flask, request

from app.web import access, api, boot, errors, health, metrics
from app.web.services import Services
from config.settings import Settings

# No request to us has a body of more than a few bytes.
BODY_LIMIT_BYTES = 64 * 1024


def create_app(settings: Settings, services: Services) -> Flask:
    """An application that answers from these services. Makes no connection."""
    app = Flask("omni-metal", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]  # fields stand in the order in which they are explained
    app.before_request(lambda: access.check(request, settings.api_token))
    app.register_blueprint(boot.blueprint(services))
    app.register_blueprint(health.blueprint(services))
    app.register_blueprint(api.blueprint(services))
    app.register_blueprint(metrics.blueprint(services))
    errors.register(app)
    return app

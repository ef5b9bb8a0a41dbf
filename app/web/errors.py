"""Every error becomes an answer here: JSON for the API, one line of text for firmware, and never a traceback."""

from __future__ import annotations

from urllib.parse import urlencode

import redis
import structlog
from flask import Flask, Response, jsonify, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app.boot.errors import AssetsMissing, BootError, ConfigNotReady, FactoryUnavailable
from app.machine.errors import ScriptRefused
from app.state.mirror_reader import MirrorUnreadable
from app.web.access import LOGIN, LoginNeeded, is_page
from app.web.answers import text
from app.web.pages.headers import HEADERS

log = structlog.get_logger()

# Redis is back within seconds where it is restarted, and iPXE comes again by itself.
REDIS_RETRY_AFTER_S = 5


def register(app: Flask) -> None:
    """Answer all errors of this app."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(LoginNeeded, _login_needed)
    app.register_error_handler(BootError, _boot_error)
    app.register_error_handler(ScriptRefused, _script_refused)
    app.register_error_handler(redis.RedisError, _redis_error)
    app.register_error_handler(MirrorUnreadable, _mirror_unreadable)
    app.register_error_handler(Exception, _unexpected)


def answer(words: str, status: int, *, retry_after_s: int | None = None) -> Response:
    """An error in the form that the asker reads."""
    if request.path.startswith("/api/"):
        response = jsonify(error=words)
        response.status_code = status
    elif is_page(request.path):
        response = Response(render_template("error.html", status=status, words=words), status)
        response.headers.update(HEADERS)
    else:
        response = text(words + "\n", status)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _http_error(error: HTTPException) -> Response:
    response = answer(error.description or error.name, error.code or 500)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _login_needed(_: LoginNeeded) -> AnyResponse:
    """Lead to the login, and on to the page that was asked for; an order leads to its machine, and is not given."""
    onward = request.full_path.rstrip("?")
    if request.method not in ("GET", "HEAD"):
        onward = request.path.rpartition("/")[0] or "/"
    return redirect(f"{LOGIN}?{urlencode({'next': onward})}", 303)


def _boot_error(error: BootError) -> Response:
    log.warning("boot_not_prepared", path=request.path, machine_id=request.args.get("uuid", ""), error=str(error))
    return answer(str(error), _status(error), retry_after_s=error.retry_after_s)


def _status(error: BootError) -> int:
    match error:
        case FactoryUnavailable() | ConfigNotReady():
            return 503
        case AssetsMissing():
            return 404
        case _:
            return 502


def _script_refused(error: ScriptRefused) -> Response:
    """The words name the value and the machine: that is for the log, whoever boots gets told where to look."""
    log.error("boot_script_refused", machine_id=request.args.get("uuid", ""), error=str(error))
    return answer("the boot script of this machine would hold a dangerous value; the provider's log names it", 500)


def _redis_error(error: redis.RedisError) -> Response:
    log.error("redis_unreachable", path=request.path, error=str(error))
    return answer("Redis does not answer: try again in a few seconds", 503, retry_after_s=REDIS_RETRY_AFTER_S)


def _mirror_unreadable(error: MirrorUnreadable) -> Response:
    log.error("mirror_unreadable", path=request.path, error=str(error))
    return answer(str(error), 503, retry_after_s=REDIS_RETRY_AFTER_S)


def _unexpected(error: Exception) -> Response:
    log.error("request_failed", path=request.path, method=request.method, exc_info=error)
    return answer("internal error; the provider's log has it", 500)

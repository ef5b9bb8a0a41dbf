"""`/api/v1/machines`: the machines with what is decided for them and why, and what a person orders by hand."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request
from marshmallow import ValidationError
from werkzeug.exceptions import BadRequest, ServiceUnavailable

from app.machine.explain import decision_json, picture_json
from app.machine.verbs import Verb
from app.state.deciding import published_options
from app.web import schemas
from app.web.access import client_address
from app.web.known import known, require_complete
from app.web.search import matches
from app.web.services import Services
from workers.enqueue import QueueUnavailable, order

# In quotes: a word with a dash is no name in a route.
_VERBS = ", ".join(f'"{verb}"' for verb in Verb)


def blueprint(services: Services) -> Blueprint:
    """The API. Who may ask is decided before (see `access`)."""
    routes = Blueprint("api", __name__, url_prefix="/api/v1/machines")
    listed = schemas.MachineSchema(many=True)
    detailed = schemas.MachineDetailSchema()
    remembered = schemas.HistorySchema(many=True)

    @routes.get("")
    def machines() -> Response:
        query = _query()
        views = [view for view in services.views.all() if matches(view, query["phase"], query["q"])]
        require_complete(services)
        return jsonify(machines=listed.dump(views), total=len(views))

    @routes.get("/<machine_id>")
    def machine(machine_id: str) -> Response:
        return jsonify(detailed.dump(known(services, machine_id)))

    @routes.get("/<machine_id>/explain")
    def explain(machine_id: str) -> Response:
        """`picture` is a line for `omni-metal explain`, `decision` is what it answers."""
        view = known(services, machine_id)
        picture = picture_json(view.machine, published_options(services.redis, services.decide_options))
        return jsonify(picture=picture, decision=decision_json(view.machine.id, view.decision))

    @routes.get("/<machine_id>/history")
    def history(machine_id: str) -> Response:
        found = known(services, machine_id).machine.id
        return jsonify(id=found, history=remembered.dump(services.history.read(found)))

    @routes.post(f"/<machine_id>/<any({_VERBS}):verb>")
    def order_by_hand(machine_id: str, verb: str) -> tuple[Response, int]:
        """202 where a task was sent, 200 where none is due: `skipped` says why."""
        found = known(services, machine_id).machine.id
        asker = f"api {client_address(request) or 'unknown address'}"
        try:
            result = order(services.settings, services.redis, found, Verb(verb), asker)
        except QueueUnavailable:
            raise ServiceUnavailable("the queue does not answer: try again in a few seconds", retry_after=5) from None
        return jsonify(schemas.OrderSchema().dump(result)), 202 if result.started else 200

    return routes


def _query() -> dict[str, Any]:
    try:
        query: dict[str, Any] = schemas.ListQuerySchema().load(request.args.to_dict())
    except ValidationError as error:
        wrong = error.messages if isinstance(error.messages, dict) else {}
        raise BadRequest(f"no such filter: {', '.join(sorted(wrong))}; there are phase and q") from None
    return query

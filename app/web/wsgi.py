"""What gunicorn serves: `app.web.wsgi:application`, made in each worker process after the fork.

The settings come as they came to the process that started gunicorn: its command line options as a JSON list in
OMNI_METAL_ARGV, and its environment.
"""

from __future__ import annotations

import json
import os

from app.web.app import create_app
from app.web.services import connect_services
from config import interpreter, logs
from config.settings import load

_settings = load(json.loads(os.environ.get("OMNI_METAL_ARGV", "[]")), os.environ)
logs.configure(_settings.debug, "web")
interpreter.tune()
application = create_app(_settings, connect_services(_settings))

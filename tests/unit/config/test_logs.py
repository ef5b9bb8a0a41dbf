import json
import logging

import pytest
import structlog

from config import logs


@pytest.fixture(autouse=True)
def _restored_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


SECRET = "sesame"


def fail(secret):
    raise RuntimeError("broken")


def test_event_is_one_line_of_json_with_process_and_fields(capsys):
    logs.configure(debug=False, process="watcher")
    structlog.get_logger().info("machine_seen", machine_id="m1")
    [line] = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event.items() >= {"event": "machine_seen", "machine_id": "m1", "process": "watcher", "level": "info"}.items()
    assert event["timestamp"].endswith("Z")


def test_debug_lines_are_for_debug_only(capsys):
    logs.configure(debug=False, process="web")
    structlog.get_logger().debug("detail")
    assert not capsys.readouterr().err
    logs.configure(debug=True, process="web")
    structlog.get_logger().debug("detail")
    assert "detail" in capsys.readouterr().err


def test_library_warning_is_json_too_and_its_chatter_is_not_logged(capsys):
    logs.configure(debug=False, process="web")
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("careful with %s", "this")
    [line] = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event.items() >= {"event": "careful with this", "logger": "library", "process": "web"}.items()


@pytest.mark.parametrize("debug", [False, True])
def test_traceback_shows_no_local_variables(capsys, debug):
    logs.configure(debug=debug, process="web")
    try:
        fail(SECRET)
    except RuntimeError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().err
    assert "broken" in written
    assert SECRET not in written

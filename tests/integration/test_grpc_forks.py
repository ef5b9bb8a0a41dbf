"""Children that are started beside a busy grpc, as the lab starts the provider, come up, every one of them."""

import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from app import cli  # noqa: F401 - what it sets up is what is tested
from app.lifeline import die_with_parent

pytestmark = pytest.mark.integration

CHILDREN = 150  # without what the command sets up, six of them were killed
CALLERS = 4


class Echo(grpc.GenericRpcHandler):
    def service(self, _details):
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)


@pytest.fixture
def busy():
    """Threads that call a server all the time."""
    stop = threading.Event()
    with ThreadPoolExecutor(CALLERS) as serving, ThreadPoolExecutor(CALLERS) as calling:
        server = grpc.server(serving, handlers=[Echo()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()

        def call():
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                echo = channel.unary_unary("/echo/Echo")
                while not stop.is_set():
                    echo(b"x", timeout=10)

        calls = [calling.submit(call) for _ in range(CALLERS)]
        yield
        stop.set()
        for made in calls:
            made.result()
        server.stop(None).wait()


@pytest.mark.usefixtures("busy")
def test_children_started_beside_calls_all_become_what_they_are_to_be():
    statuses = []
    for _ in range(CHILDREN):
        child = subprocess.Popen(["true"], preexec_fn=die_with_parent(signal.SIGKILL))  # noqa: PLW1509 - as Child does
        statuses.append(child.wait(timeout=10))
    assert statuses == [0] * CHILDREN

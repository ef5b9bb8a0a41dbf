"""`omni-metal run` that cannot start: one clear message each, the right exit status, and nothing started."""

import errno
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.instance import hold_state_dir
from app.ports import check_free
from tests.free_ports import free_port
from tests.integration.children import MARK, marked_processes
from tests.unit.tls.certificates import make

pytestmark = pytest.mark.integration


@pytest.fixture
def run(tmp_path):
    def start(*options, state_dir=tmp_path / "state"):
        command = [
            *(sys.executable, "-P", "-m", "app.cli", "run"),
            "--omni-api-endpoint=http://127.0.0.1:1",
            "--api-advertise-address=127.0.0.1",
            "--disable-dhcp-proxy",
            f"--state-dir={state_dir}",
            f"--api-port={free_port()}",
            f"--gateway-listen=127.0.0.1:{free_port()}",
            f"--flower-listen=127.0.0.1:{free_port()}",
            *options,
        ]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
        environ[MARK] = str(tmp_path)
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert not marked_processes(str(tmp_path))
        return done

    return start


def test_command_imports_nothing_that_opens_sockets_before_it_runs():
    code = "import sys, app.cli; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"ssl", "redis", "grpc", "celery", "flask", "flower", "tornado", "marshmallow"} & set(
        found.stdout.split()
    )


def test_wrong_options_are_all_named_with_status_2(run, tmp_path):
    done = run("--use-local-boot-assets", f"--boot-assets-path={tmp_path / 'no'}", "--min-reboot-interval=soon")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "omni-metal: 2 settings are wrong, nothing was started:"
    assert "--boot-assets-path=/" in done.stderr
    assert "no image for amd64: kernel-amd64 is missing, initramfs-metal-amd64.xz is missing" in done.stderr
    assert "--min-reboot-interval=soon" in done.stderr
    assert not (tmp_path / "state").exists()


def test_port_in_use_is_named_with_its_holder_and_the_remedy(run):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = run(f"--api-port={port}")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert f"port {port} is in use by" in line
    assert f"(process {os.getpid()})" in line
    assert "--api-port" in line


def test_port_of_tls_in_use_is_named_with_its_own_option(run):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        done = run("--tls-enabled", f"--tls-api-port={holder.getsockname()[1]}")
    assert done.returncode == 1
    assert "choose another port with --tls-api-port" in done.stderr


def test_certificate_files_that_cannot_be_served_are_told_with_all_else_that_is_wrong(run, tmp_path):
    certificate, _ = make("leaf", names=["192.0.2.1"]).write(tmp_path, "leaf")
    make("other").write(tmp_path, "leaf2")
    options = ("--tls-enabled", f"--tls-cert-file={certificate}", f"--tls-key-file={tmp_path / 'leaf2.key'}")
    done = run(*options, f"--tls-ca-cert-file={tmp_path / 'none'}", "--tls-cert-ttl=4m")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "omni-metal: 4 settings are wrong, nothing was started:"
    for words in (
        "--tls-cert-ttl=4m (command line): must be 5m or more",
        "--tls-ca-cert-file=",
        "cannot be read, No such file",
        "is not for 127.0.0.1",
        "is not the key of the certificate",
    ):
        assert words in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("option", ["--gateway-listen", "--flower-listen"])
def test_other_ports_in_use_are_named_with_their_own_option(option, run):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        done = run(f"{option}=127.0.0.1:{holder.getsockname()[1]}")
    assert done.returncode == 1
    assert f"choose another port with {option}" in done.stderr


def test_address_of_another_host_is_refused(run):
    done = run("--api-listen-address=192.0.2.1")
    assert done.returncode == 1
    assert "192.0.2.1 is not an address of this host" in done.stderr


def test_unreachable_redis_is_one_line_without_its_password(run):
    done = run(f"--redis-url=redis://:sesame@127.0.0.1:{free_port()}/3")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "Redis at redis://127.0.0.1:" in line
    assert "does not answer" in line
    assert "--redis-url" in line
    assert "sesame" not in line


def test_state_dir_that_cannot_be_written_to_is_named(run, tmp_path):
    (tmp_path / "file").touch()
    done = run(state_dir=tmp_path / "file" / "state")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "cannot be written to" in line
    assert "--state-dir" in line


def test_second_run_on_one_state_dir_is_refused(run, tmp_path):
    with hold_state_dir(tmp_path / "state"):
        done = run()
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert f"another omni-metal run (process {os.getpid()}) uses the state directory" in line


def test_state_dir_is_free_again_after_its_holder(tmp_path):
    for _ in range(2):
        with hold_state_dir(tmp_path / "state"):
            pass


def test_port_that_has_just_been_used_is_free():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            taken, _ = holder.accept()
            taken.close()  # leaves the port in TIME_WAIT
            caller.recv(1)
    check_free("127.0.0.1", port, "--api-port")


def test_whoever_connects_to_a_port_that_is_tried_is_refused_not_cut_off():
    port = free_port()
    tried = threading.Event()

    def try_it():
        while not tried.is_set():
            check_free("127.0.0.1", port, "--api-port")

    with ThreadPoolExecutor(1) as pool:
        trying = pool.submit(try_it)
        try:
            came = {connect_error(port) for _ in range(2_000)}
        finally:
            tried.set()
        trying.result()
    assert came == {errno.ECONNREFUSED}


def connect_error(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port))

"""`make bench-boot` with few machines: what it measures is there, and is neither nothing nor endless."""

import asyncio
import json
import re
import subprocess
import sys

import pytest

from lab.bench import boot_steady
from lab.http import HttpServer, Response

pytestmark = pytest.mark.integration

MACHINES = 60


def test_bench_of_a_small_storm_prints_each_figure_and_judges_it():
    ended = subprocess.run(
        [sys.executable, "-m", "lab.bench.boot", f"--machines={MACHINES}", "--spread=1", "--seconds=1"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.stderr == ""
    _, _, answered, times, questions, rate, steady, others, ours, _, memory = ended.stdout.splitlines()
    assert f"storm of {MACHINES} machines within 1 s: boot scripts | {MACHINES} | all | ok" in answered
    assert ended.returncode == (1 if "NOT OK" in ended.stdout else 0)
    assert 10 <= int(re.findall(r"\d+", questions)[-1]) <= MACHINES
    assert int(re.findall(r"\| ([\d,]+) \|", rate)[0].replace(",", "")) > 20
    for line in (times, steady):
        p99_ms, median_ms = map(int, re.findall(r"\| (\d+) ms \((\d+) ms\)", line)[0])
        assert 0 < median_ms <= p99_ms < 10_000
    assert "| 0 | none | ok" in others
    assert 0.05 < float(re.findall(r"\| ([\d.]+) ms", ours)[0]) < 50
    assert 100 < int(re.findall(r"\| (\d+) MB", memory)[0]) < 1_200


async def half(request):
    """A server that answers every other path."""
    return Response.text("script", 200 if request.path == "/script" else 404)


def test_own_loader_says_what_wrk_would(tmp_path, monkeypatch):
    monkeypatch.setattr(boot_steady.shutil, "which", lambda _: None)
    paths = tmp_path / "paths"
    paths.write_text("/script\n/nothing\n")

    async def story():
        server = HttpServer(half)
        port = await server.serve()
        command = boot_steady.command(f"http://127.0.0.1:{port}", 4, 1, paths)
        loader = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await loader.communicate()
        await server.stop()
        return json.loads(output)

    said = asyncio.run(story())
    assert said["answers"] > 20
    assert abs(said["failed"] - said["answers"] / 2) < 10
    assert 0 < said["median_ms"] <= said["p99_ms"] < 1_000
    assert 0.9 < said["took_s"] < 5

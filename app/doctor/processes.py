"""Whether watcher, gateway, web and the clock of the power sweep live, and what they say of themselves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from app.doctor.finding import Finding, failed, failed_as_said, ok, warning, while_starting
from app.doctor.http_probe import Answer, ask
from app.doctor.queues import NOTHING_RUNS, anything_runs
from app.doctor.site import Site
from app.state.agents import LAST_REFUSED
from app.state.connection import as_bytes
from app.state.facts import refused_of
from app.state.health import Health
from app.state.health import health as read_health
from app.state.view import refused_words
from config.addresses import is_wildcard
from config.paths import run_dir_path
from config.settings import Settings

# The signs are renewed every 5 s; health checks of containers allow as much.
SIGN_S = 60.0
# By then a person sees in Omni what the pages do not show yet.
LAG_S = 10.0
LOG = "look into its log; under `omni-metal run` it is started again by itself"


def look(site: Site) -> Sequence[Finding]:
    """Read their signs in Redis and in the state directory, and ask web."""
    if not (anything_runs(site) or site.run_process):
        return [warning(NOTHING_RUNS, "start it: `omni-metal run`")]
    settings, health = site.settings, read_health(site.redis)
    beat_s = newest_sign_s(run_dir_path(settings.state_dir) / "alive", "beat")
    found = [
        *watcher_findings(health),
        gateway_finding(health.gateways),
        *refused_findings(site.redis.get(LAST_REFUSED)),
        web_finding(settings, {host: ask(host, settings.api_port, "/readyz") for host in web_hosts(settings)}),
        *beat_findings(beat_s, under_run=site.run_process is not None),
    ]
    return while_starting(found) if site.just_started else found


def watcher_findings(health: Health) -> Sequence[Finding]:
    """How the watcher stands by what it says of itself."""
    if not health.watcher_alive:
        words = "watcher: none is alive, so nothing is decided and nothing begins"
        return [failed(words, f"start `omni-metal watcher`; {LOG}")]
    found = []
    if health.problem or not health.omni_connected:
        words = f"watcher: it does not follow Omni: {health.problem or 'it is not connected'}"
        found.append(failed(words, health.remedy or "see what is said of Omni; the watcher goes on by itself"))
    if health.tls_problem:
        found.append(failed_as_said(f"TLS towards agents: {health.tls_problem}"))
    if health.watch_lag_s > LAG_S:
        words = f"watcher: changes reach it {health.watch_lag_s:.0f} s late"
        found.append(warning(words, "see whether this host or Omni is overloaded"))
    if not health.mirror_complete and not found:
        words = "watcher: its picture of Omni is not complete yet: boots are answered with 503"
        found.append(warning(words, "wait a few seconds, and ask again"))
    return found or [ok("watcher follows Omni")]


def gateway_finding(gateways: int) -> Finding:
    """How the gateways stand. gateways: how many have renewed their sign."""
    if not gateways:
        words = "gateway: none is alive, so agents cannot connect and nothing is wiped"
        return failed(words, f"start `omni-metal gateway`; {LOG}")
    return ok("gateway lives" if gateways == 1 else f"{gateways} gateways live")


def refused_findings(note: object) -> Sequence[Finding]:
    """Whether somebody claims to be one of the machines. note: what Redis has of the tunnel that was refused last."""
    machine_id, _, said = (as_bytes(note).decode() if note else "").partition(" ")
    refused = refused_of(said)
    if refused is None:
        return []
    words = f"gateway: {refused_words(refused)}, for {machine_id}, whose agent is at another address"
    return [warning(words, "see who is there; where both are machines of yours, two have one UUID")]


def web_hosts(settings: Settings) -> Sequence[str]:
    """Where web may be: on this host, or where machines are sent to."""
    here = "localhost" if is_wildcard(settings.api_listen_address) else settings.api_listen_address
    return tuple(dict.fromkeys((here, settings.api_advertise_address)))


def web_finding(settings: Settings, answers: dict[str, Answer]) -> Finding:
    """How web stands. answers: what came from each host that it may be on."""
    host, answer = next(((h, a) for h, a in answers.items() if a.ours), next(iter(answers.items())))
    place = f"port {settings.api_port} of {host}"
    if not answer.ours:
        why = answer.error or "something else answers there"
        return failed(f"web: it does not answer on {place} ({why})", f"start `omni-metal web`; {LOG}")
    checks = (answer.content or {}).get("checks", {})
    missing = [f"{name} {check['words']}" for name, check in checks.items() if check["required"] and not check["ok"]]
    if missing:
        words = f"web: it answers on {place}, but no boots: {'; '.join(missing)}"
        return failed(words, "see what is said of Redis and of the watcher")
    return ok(f"web answers on {place}")


def newest_sign_s(folder: Path, process: str) -> float | None:
    """How old the newest sign of life of this process is that stands in the folder; None: there is none."""
    try:
        touched = [path.stat().st_mtime for path in folder.glob(f"{process}@*")]
    except OSError:
        return None
    return max(0.0, time.time() - max(touched)) if touched else None


def beat_findings(sign_s: float | None, *, under_run: bool) -> Sequence[Finding]:
    """How the clock of the power sweep stands. sign_s: the age of its sign; under_run: it must be on this host."""
    if sign_s is None:
        return []  # on another host, it may be
    if sign_s <= SIGN_S:
        return [ok("beat lives")]
    words = f"beat: no sign of life for {sign_s:.0f} s, so power states are not read any more"
    if under_run:
        return [failed(words, f"see what is said of Redis; {LOG}")]
    return [warning(words, "start `omni-metal beat`, if it runs on no other host")]

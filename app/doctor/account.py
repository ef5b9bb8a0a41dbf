"""Whether Omni knows us: the clock, the key, its signature, and the provider under our id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import redis

from app.doctor.finding import Finding, failed, failed_as_said, ok, skipped, warning
from app.doctor.site import Site
from app.omni.account import ServiceAccount, load_account
from app.omni.errors import (
    AccountRefused,
    EulaNotAccepted,
    NotAuthenticated,
    OmniError,
    PermissionRefused,
    RoleInsufficient,
)
from app.omni.kinds import Kind
from app.omni.resource import Resource
from app.omni.skew import WORTH_SAYING_S, clock_skew_s, skew_words, too_far
from app.start_checks import KEY, problems
from app.startup import KEY_ENDS_SOON
from app.state.connection import as_bytes
from app.watcher.provider import INSTALLATION, INSTALLATION_KEY, STATIC_LABEL, heartbeat_of_another_s
from config.options import OPTIONS

SET_THE_CLOCK = "set this host's clock by NTP, or Omni's where that is the wrong one"
# Each of these reads is of another rule of Omni's about what a provider may do.
READS = ((Kind.PROVIDER_STATUS, ""), (Kind.INFRA_MACHINE, ""), (Kind.TLS_CONFIG, "tls-config"))


def look_at_clock(site: Site) -> Sequence[Finding]:
    """Compare this clock with Omni's."""
    settings = site.settings
    skip_verify = settings.insecure_skip_tls_verify
    return [clock_finding(clock_skew_s(settings.omni_api_endpoint, skip_verify=skip_verify, timeout_s=2.0))]


def clock_finding(skew_s: float | None) -> Finding:
    """What a difference means. skew_s: how far we are ahead of Omni, in seconds; None: it told no time."""
    if skew_s is None:
        return skipped("Omni told no time: it answers gRPC only, or there is a proxy between")
    if too_far(skew_s):
        return failed(f"{skew_words(skew_s)}: it refuses what we sign", SET_THE_CLOCK)
    if abs(skew_s) >= WORTH_SAYING_S:
        return warning(f"{skew_words(skew_s)}: it shows us as away where that is more than 10 s", SET_THE_CLOCK)
    return ok(f"as Omni's, to within {WORTH_SAYING_S:g} s")


def look_at_key(site: Site) -> Sequence[Finding]:
    """Read the service account key."""
    settings = site.settings
    found = [f"{OPTIONS[KEY].flag}: {words}" for name, words in problems(settings) if name == KEY]
    if found:
        return [failed_as_said(words) for words in found]
    if not settings.service_account_key:
        return [ok("none is set; only an Omni for tests takes that")]
    return key_findings(load_account(settings.service_account_key), settings.id, datetime.now(UTC))


def key_findings(account: ServiceAccount, provider_id: str, now: datetime) -> Sequence[Finding]:
    """What there is to say of a key that can be used."""
    findings = []
    if not account.provider_id:
        words = f"the key is of the service account {account.name!r}, which is no provider's"
        findings.append(warning(words, RoleInsufficient.hint))
    ends = account.expires_at
    until = f"good until {ends:%Y-%m-%d %H:%M} UTC" if ends else "good for ever"
    if ends and ends - now < KEY_ENDS_SOON:
        remedy = f"run `omnictl infraprovider renewkey {provider_id}` and start with the new key"
        findings.append(warning(f"the key is {until}", remedy))
    return findings or [ok(f"of {account.identity}, {until}")]


def look_at_signature(site: Site) -> Sequence[Finding]:
    """Make one call, and see whether Omni knows who asks."""
    try:
        site.omni.get(Kind.PROVIDER_STATUS, site.settings.id)
    except OmniError as error:
        return [signature_finding(error, signed=bool(site.settings.service_account_key))]
    return [signature_finding(None, signed=bool(site.settings.service_account_key))]


def signature_finding(error: OmniError | None, *, signed: bool) -> Finding:
    """What the answer to a call says of the signature on it. error: how it failed, or None."""
    known = "Omni knows our key" if signed else "Omni answers without a signature"
    if isinstance(error, NotAuthenticated | EulaNotAccepted):
        remedy = error.hint if signed else f"set {OPTIONS[KEY].flag} to what `omnictl infraprovider create ID` printed"
        return failed(error.words, remedy)
    if error is None or isinstance(error, AccountRefused | PermissionRefused):
        return ok(known)  # what it refuses is of the next check
    return failed(f"a call failed: {error.words}", error.hint)


def look_at_registration(site: Site) -> Sequence[Finding]:
    """Ask for what a provider must be able to read, and whether another one runs under our id."""
    omni, provider_id = site.omni, site.settings.id
    try:
        status, *_ = [omni.get(kind, resource_id or provider_id) for kind, resource_id in READS]
        health = omni.get(Kind.PROVIDER_HEALTH_STATUS, provider_id)
    except OmniError as error:
        return [failed(f"{error.subject}: {error.words}", error.hint)]
    other = other_finding(health, installation(site), datetime.now(UTC), forced=site.settings.force_takeover)
    return [registered_finding(provider_id, status), *([other] if other else [])]


def registered_finding(provider_id: str, status: Resource | None) -> Finding:
    """What our status in Omni says. None: there is none."""
    if status is None:
        return ok(f"the provider {provider_id!r} is registered; it has never been started")
    if STATIC_LABEL not in status.labels:
        words = f"the status of {provider_id!r} was written by a provider of another kind: no machine would appear"
        return warning(words, "give this one an id of its own, or start it, which writes the status anew")
    return ok(f"the provider {provider_id!r} is registered, and its key has the rights of a provider")


def other_finding(health: Resource | None, ours: str, now: datetime, *, forced: bool) -> Finding | None:
    """Whether another provider runs under our id.

    Args:
        health: the health status in Omni.
        ours: the name of this installation, or '' where it has never been started.
        now: the time.
        forced: it is to be started all the same.
    """
    age_s = heartbeat_of_another_s(health, lambda: ours, now)
    if age_s is None:
        return None
    words = f"another provider runs under this id: its heartbeat is {max(age_s, 0):.0f} s old"
    if forced:
        return warning(words, "stop it: two of them undo what the other does (--force-takeover is set)")
    return failed(words, "stop it, or give one of the two another --id; --force-takeover starts nevertheless")


def installation(site: Site) -> str:
    """The name of this installation: from Redis, else from the state directory; '' where neither has one."""
    try:
        stored = site.redis.get(INSTALLATION_KEY)
        if stored:
            return as_bytes(stored).decode()
    except (redis.RedisError, ValueError):
        pass  # there is a check for Redis
    try:
        return (site.settings.state_dir / INSTALLATION.rpartition("/")[2]).read_text().strip()
    except OSError:
        return ""

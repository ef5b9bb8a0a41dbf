"""What can go wrong with an agent, named by what the caller can do about it.

The same errors are raised in the gateway and, carried over the internal listener by their `slug`, in the workers.
"""

from __future__ import annotations

from typing import ClassVar


class AgentError(Exception):
    """A call to a machine's agent failed; the text is for a person."""

    slug: ClassVar[str] = ""


class AgentGone(AgentError):
    """No tunnel, or it was lost during the call: try again when the agent is back."""

    slug = "agent-gone"


class AgentTimeout(AgentError):
    """The agent did not answer within the limit; the call was cancelled: try again later."""

    slug = "agent-timeout"


class AgentFailed(AgentError):
    """The agent answered with an error: try again later."""

    slug = "agent-failed"


class WipeRefused(AgentError):
    """The agent will not wipe this machine, however often it is asked: a person must look at it."""

    slug = "wipe-refused"


class StaleFence(AgentError):
    """A later operation has taken the machine: stop."""

    slug = "stale-fence"


class GatewayUnreachable(AgentError):
    """The gateway that holds the machine does not answer, so nothing is known of the agent: try again."""

    slug = "gateway-unreachable"


BY_SLUG: dict[str, type[AgentError]] = {
    kind.slug: kind for kind in (AgentGone, AgentTimeout, AgentFailed, WipeRefused, StaleFence)
}

"""What the wipes of a rack are meant to do: succeed, fail, or be cut short by the death of the agent."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import grpc


class WipeFate(enum.Enum):
    """How a wipe is meant to end."""

    DONE = "done"
    FAILED = "failed"
    AGENT_DIES = "agent dies"


class WipeFailedError(Exception):
    """The answer of an agent whose wipe failed: a gRPC status code and words."""

    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


@dataclass(slots=True)
class WipePlan:
    """The fates of a rack's wipes, in the order in which they begin, all machines together.

    fail: the first so many fail.
    agent_dies: then so many lose their agent half way.
    code, words: what a failing wipe answers.
    fail_always: machines whose every wipe fails.
    """

    fail: int = 0
    agent_dies: int = 0
    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    words: str = "failed to wipe disks: /dev/sda: input/output error"
    fail_always: set[str] = field(default_factory=set)
    begun: int = 0

    def next(self, machine_id: str) -> WipeFate:
        """The fate of the wipe that begins now."""
        if machine_id in self.fail_always:
            return WipeFate.FAILED
        self.begun += 1
        if self.begun <= self.fail:
            return WipeFate.FAILED
        if self.begun <= self.fail + self.agent_dies:
            return WipeFate.AGENT_DIES
        return WipeFate.DONE

    def failure(self) -> WipeFailedError:
        """What a failing wipe answers."""
        return WipeFailedError(self.code, self.words)

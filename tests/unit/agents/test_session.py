import asyncio

import pytest

from app.agents import session
from app.agents.errors import AgentGone, StaleFence
from app.agents.fences import Fences
from app.agents.session import GREETING_LIMIT_S, GREETING_PAUSE_S, greet, pause_s


class FakeAgent:
    """Answers each greeting as the next item says: a number of seconds, or an error."""

    class tunnel:  # noqa: N801
        open = True

    def __init__(self, *answers):
        self.answers = list(answers)

    async def hello(self, timeout_s):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        await asyncio.sleep(answer)


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(session, "GREETING_LIMIT_S", 0.2)


def test_agent_that_answers_lives():
    assert asyncio.run(greet(FakeAgent(0.01)))


def test_agent_that_does_not_answer_is_dead():
    assert not asyncio.run(greet(FakeAgent(60)))


def test_greeting_that_ended_with_somebody_elses_is_sent_again():
    assert asyncio.run(greet(FakeAgent(AgentGone("cancelled"), AgentGone("cancelled"), 0.01)))


def test_limit_of_the_question_counts():
    agent = FakeAgent(0.15)
    assert asyncio.run(greet(agent))
    assert not asyncio.run(session.answers(FakeAgent(0.15), 0.05))


def test_agent_that_only_fails_is_dead():
    assert not asyncio.run(greet(FakeAgent(*[AgentGone("x")] * 20)))


def test_lost_tunnel_ends_the_greeting_at_once():
    agent = FakeAgent(AgentGone("lost"))
    agent.tunnel = type("Tunnel", (), {"open": False})
    assert not asyncio.run(greet(agent))


def test_frozen_agent_is_found_within_thirty_seconds():
    assert GREETING_PAUSE_S + GREETING_LIMIT_S < 30
    assert pause_s(first=False) == GREETING_PAUSE_S
    assert 0 < pause_s(first=True) <= GREETING_PAUSE_S


def test_lower_fence_than_seen_is_stale():
    fences = Fences()
    fences.check("a", 5)
    fences.check("a", 5)
    fences.check("b", 1)
    with pytest.raises(StaleFence):
        fences.check("a", 4)
    fences.check("a", 6)

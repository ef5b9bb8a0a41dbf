import asyncio
from types import SimpleNamespace

import pytest

from lab.life import Step
from lab.product import ProductError
from lab.story import Story


class Audience:
    def __init__(self):
        self.heard = []

    def begun(self, step):
        self.heard.append(("begun", step.name))

    def reached(self, step, machine, took_s):
        self.heard.append(("reached", step.name, machine.id))

    def ended(self, step, told):
        self.heard.append(("ended", step.name, len(told.missing)))


class Machine:
    def __init__(self, machine_id):
        self.id = machine_id
        self.looks = 0


def rack(*ids):
    return SimpleNamespace(machines=tuple(Machine(i) for i in ids), observe=lambda machine: None)


def test_step_ends_when_it_holds_for_all_machines():
    audience, acted = Audience(), []

    def missing(machine, seen):
        machine.looks += 1
        return "not yet" if machine.looks < int(machine.id) else ""

    step = Step("slow", missing, 5, acted.append, "something is done")
    scene = rack("1", "2")

    (told,) = asyncio.run(Story(scene, audience, lambda: None).play([step]))

    assert (told.missing, told.machines, acted) == ({}, 2, [scene])
    assert sorted(told.reached) == ["1", "2"]
    assert 0 <= told.reached["1"] <= told.reached["2"] <= told.took_s
    assert audience.heard == [
        ("begun", "slow"),
        ("reached", "slow", "1"),
        ("reached", "slow", "2"),
        ("ended", "slow", 0),
    ]


def test_step_that_does_not_come_true_names_its_machines_and_ends_the_story():
    def missing(machine, seen):
        return "it sleeps" if machine.id == "b" else ""

    told = asyncio.run(
        Story(rack("a", "b"), Audience(), lambda: None).play([Step("one", missing, 0), Step("two", missing, 0)])
    )

    assert [(t.step, t.missing) for t in told] == [("one", {"b": "it sleeps"})]


def test_end_of_the_provider_ends_the_story():
    def check():
        raise ProductError("the provider has ended with exit status 1", 1)

    with pytest.raises(ProductError, match="exit status 1"):
        asyncio.run(Story(rack("a"), Audience(), check).play([Step("one", lambda m, s: "no", 5)]))

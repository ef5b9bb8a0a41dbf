from dataclasses import replace

import pytest

from app.machine.decide import operation_id
from app.machine.model import BmcConfiguration, Ipmi, OperationName
from tests.unit.machine.pictures import (
    AGENT_LOGIN,
    ID,
    META,
    at_rest,
    due,
    operation,
    reasons,
    seen,
    user_login,
)

BMC = OperationName.CONFIGURE_BMC
USER_IPMI = Ipmi("10.0.0.7", 0, "admin", "secret")
FULL_IPMI = Ipmi("10.0.0.7", 623, "admin", "secret")
USED = BmcConfiguration(META, ipmi=FULL_IPMI, manually_configured=True)


def with_user(used, **login):
    return replace(at_rest(), bmc_config=user_login(**login), bmc_configuration=used)


@pytest.mark.parametrize(
    ("machine", "due_now"),
    [
        (with_user(None, ipmi=USER_IPMI), True),
        (with_user(AGENT_LOGIN, ipmi=USER_IPMI), True),
        (with_user(USED, ipmi=USER_IPMI), False),
        (with_user(USED, ipmi=FULL_IPMI), False),
        (with_user(USED, ipmi=replace(FULL_IPMI, password="changed")), True),
        (with_user(USED, ipmi=replace(FULL_IPMI, username="changed")), True),
        (with_user(USED, ipmi=replace(FULL_IPMI, address="10.0.0.8")), True),
        (with_user(USED, ipmi=replace(FULL_IPMI, port=624)), True),
        (with_user(USED, ipmi=USER_IPMI, api_address="10.0.0.7:80"), True),
        (with_user(USED, api_address="10.0.0.7:80"), True),
        (with_user(BmcConfiguration(META, None, "10.0.0.7:80", True), api_address="10.0.0.7:80"), False),
        (with_user(replace(USED, manually_configured=False), ipmi=USER_IPMI), True),
    ],
)
@pytest.mark.parametrize("agent", [True, False, None])
def test_login_of_a_user_is_copied_when_it_differs_whatever_the_agent_does(machine, due_now, agent):
    machine = seen(machine, None, agent)
    assert (BMC in due(machine)) is due_now
    if due_now:
        assert operation(machine, BMC).source == "user"


@pytest.mark.parametrize(
    ("used", "agent", "due_now"),
    [
        (None, True, True),
        (None, False, False),
        (None, None, False),
        (AGENT_LOGIN, True, False),
        (AGENT_LOGIN, False, False),
        (BmcConfiguration(META, api_address="10.0.0.9:80"), True, False),
        (BmcConfiguration(META), True, True),
        (BmcConfiguration(META), False, False),
        (USED, True, True),
        (USED, False, False),
        (USED, None, False),
    ],
)
def test_login_of_the_agent_is_asked_for_when_there_is_none_of_ours(used, agent, due_now):
    machine = seen(replace(at_rest(), bmc_configuration=used), True, agent)
    assert (BMC in due(machine)) is due_now
    if due_now:
        assert operation(machine, BMC).source == "agent"


def test_login_of_a_user_without_content_leaves_it_to_the_agent():
    machine = seen(with_user(None), True, True)
    assert operation(machine, BMC).source == "agent"


def test_login_taken_away_old_one_stays_until_the_agent_gives_a_new_one():
    machine = seen(replace(at_rest(), bmc_configuration=USED), True, False)
    assert "the old login stays" in reasons(machine)


def test_agent_not_known_says_that_it_waits():
    machine = seen(replace(at_rest(), bmc_configuration=None), True, None)
    assert "not known yet whether the agent is accessible" in reasons(machine)


def test_cause_changes_with_the_password_and_does_not_show_it():
    ids = set()
    for password in ("secret", "other"):
        found = operation(with_user(None, ipmi=replace(USER_IPMI, password=password)), BMC)
        assert password not in repr(found)
        ids.add(operation_id(ID, found))
    assert len(ids) == 2


def test_cause_does_not_depend_on_what_we_wrote():
    before = operation(with_user(None, ipmi=USER_IPMI), BMC)
    after = operation(with_user(AGENT_LOGIN, ipmi=USER_IPMI), BMC)
    assert operation_id(ID, before) == operation_id(ID, after)


def refused(machine):
    return replace(machine, facts=replace(machine.facts, powered_on=None, login_refused=True))


@pytest.mark.parametrize(("agent", "due_now"), [(True, True), (False, False), (None, False)])
def test_login_of_the_agent_that_the_bmc_refuses_is_set_anew_when_the_agent_is_there(agent, due_now):
    machine = refused(seen(replace(at_rest(), bmc_configuration=AGENT_LOGIN), True, agent))
    assert (BMC in due(machine)) is due_now
    assert "The BMC refuses the login that was set up through the agent, so the agent is to give a new one" in reasons(
        machine
    )
    assert "the old login stays" not in reasons(machine)


def test_login_of_a_user_that_the_bmc_refuses_is_never_replaced_and_the_remedy_is_said():
    machine = refused(seen(with_user(USED, ipmi=USER_IPMI), True, True))
    assert BMC not in due(machine)
    assert "The BMC refuses the login that a user gave: correct it in Omni" in reasons(machine)
    assert "it may have locked us out: `omni-metal retry` after 11 minutes." in reasons(machine)


def test_login_that_a_user_corrects_is_taken_over_though_the_old_one_is_refused():
    machine = refused(seen(with_user(USED, ipmi=replace(USER_IPMI, password="changed")), True, None))
    assert operation(machine, BMC).source == "user"


def test_api_bmc_that_refuses_is_not_set_up_anew_for_it_has_no_login():
    used = BmcConfiguration(META, api_address="10.0.0.9:80")
    machine = refused(seen(replace(at_rest(), bmc_configuration=used), True, True))
    assert BMC not in due(machine)
    assert "have no login" in reasons(machine)


def test_login_set_anew_has_the_cause_of_the_first_one_so_that_it_stays_parked_where_both_are_refused():
    first = operation(seen(replace(at_rest(), bmc_configuration=None), True, True), BMC)
    anew = operation(refused(seen(replace(at_rest(), bmc_configuration=AGENT_LOGIN), True, True)), BMC)
    assert operation_id(ID, first) == operation_id(ID, anew)

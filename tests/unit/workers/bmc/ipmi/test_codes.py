import pytest

from workers.bmc.errors import (
    BmcAuthenticationFailed,
    BmcBusy,
    BmcLoginUnusable,
    BmcRefused,
    BmcUnsupported,
)
from workers.bmc.ipmi.codes import checked_login, completion_error, login_error, privilege_error
from workers.bmc.ipmi.login import LoginRefused

PLACE = "192.0.2.7:623"


def test_login_of_the_greatest_length_is_sent_as_bytes():
    assert checked_login("u" * 16, "p" * 20) == (b"u" * 16, b"p" * 20)


@pytest.mark.parametrize(
    ("user", "password", "words"),
    [
        ("u" * 17, "p", "the user 'uuuuuuuuuuuuuuuuu' has 17 bytes"),
        ("ü" * 9, "p", "has 18 bytes"),
        ("u", "geheim" * 4, "the password has 24 bytes"),
        ("u", "ß" * 11, "the password has 22 bytes"),
    ],
)
def test_login_that_is_too_long_for_ipmi_is_refused_without_showing_the_password(user, password, words):
    with pytest.raises(BmcLoginUnusable, match=words) as caught:
        checked_login(user, password)
    assert caught.value.executed is False
    assert len(password) == 1 or password not in caught.value.words()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (0x01, BmcBusy),
        (0x0B, BmcBusy),
        (0x09, BmcAuthenticationFailed),
        (0x0A, BmcAuthenticationFailed),
        (0x0D, BmcAuthenticationFailed),
        (0x0F, BmcAuthenticationFailed),
        (0x04, BmcUnsupported),
        (0x11, BmcUnsupported),
        (0x00, BmcUnsupported),
        (0x02, BmcRefused),
        (0x08, BmcRefused),
        (0x12, BmcRefused),
        (0x77, BmcRefused),
    ],
)
def test_login_refused_with_a_status_has_this_error_and_was_surely_no_command(status, error):
    made = login_error(PLACE, LoginRefused("why", status), 16)
    assert type(made) is error
    assert made.executed is False
    assert PLACE in str(made)


@pytest.mark.parametrize(("length", "told"), [(16, False), (17, True), (20, True)])
def test_wrong_password_that_older_bmcs_would_cut_says_so(length, told):
    made = login_error(PLACE, LoginRefused("Incorrect password provided", 0, wrong_password=True), length)
    assert type(made) is BmcAuthenticationFailed
    assert ("no more than 16" in str(made)) is told


@pytest.mark.parametrize(
    ("code", "error", "executed"),
    [
        (0xC0, BmcBusy, False),
        (0xD2, BmcBusy, False),
        (0xC1, BmcUnsupported, False),
        (0xCC, BmcUnsupported, False),
        (0xD5, BmcUnsupported, False),
        (0x80, BmcUnsupported, False),
        (0xD4, BmcUnsupported, False),
        (0xC7, BmcRefused, False),
        (0xC3, BmcRefused, None),
        (0xCE, BmcRefused, None),
        (0xCF, BmcRefused, None),
        (0xFF, BmcRefused, None),
        (0x93, BmcRefused, None),
    ],
)
def test_completion_code_of_a_command_says_whether_it_was_carried_out(code, error, executed):
    made = completion_error(PLACE, "power cycle", code, command=True)
    assert (type(made), made.executed) == (error, executed)
    assert f"{code:#04x}" in str(made)
    assert completion_error(PLACE, "its power state", code).executed is False


def test_user_without_rights_is_told_what_to_do():
    assert "operator's privilege" in str(completion_error(PLACE, "power on", 0xD4, command=True))


@pytest.mark.parametrize("code", [0x80, 0x81, 0xD4])
def test_privilege_that_is_denied_is_the_users(code):
    made = privilege_error(PLACE, code)
    assert type(made) is BmcAuthenticationFailed
    assert "no operator's privilege" in str(made)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0xC0, BmcBusy),
        (0xD2, BmcBusy),
        (0xC1, BmcUnsupported),
        (0xC3, BmcRefused),
        (0xCE, BmcRefused),
        (0xCF, BmcRefused),
        (0xFF, BmcRefused),
    ],
)
def test_fault_of_the_bmc_while_privilege_is_asked_for_says_nothing_of_the_login(code, error):
    made = privilege_error(PLACE, code)
    assert type(made) is error
    assert made.executed is False

import pytest

from config.commandline import parse_command_line, secrets_apart


def test_both_ways_to_give_a_value_are_read():
    line = parse_command_line(["--id", "rack-1", "--api-port=8080"])
    assert line.given == {"id": "rack-1", "api-port": "8080"}
    assert not line.problems


def test_switch_does_not_take_the_word_after_it():
    line = parse_command_line(["--debug", "false", "--wipe-with-zeroes=false"])
    assert line.given == {"debug": "true", "wipe-with-zeroes": "false"}
    assert line.words == ("false",)


def test_last_of_a_repeated_option_counts_and_labels_add_up():
    line = parse_command_line(["--id=a", "--id=b", "--machine-labels=k=v", "--machine-labels", "k2"])
    assert line.given == {"id": "b", "machine-labels": "k=v,k2"}


def test_value_may_hold_an_equals_sign_and_be_empty():
    line = parse_command_line(["--api-token=a=b", "--provider-name="])
    assert line.given == {"api-token": "a=b", "provider-name": ""}


def test_value_may_be_a_negative_number():
    assert parse_command_line(["--api-port", "-1"]).given == {"api-port": "-1"}


def test_words_after_two_dashes_are_no_options():
    assert parse_command_line(["--debug", "--", "--id"]).words == ("--id",)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--api-prot=1"], "did you mean --api-port?"),
        (["--min_reboot_interval=1m"], "did you mean --min-reboot-interval?"),
        (["--qqqqqq"], "see omni-metal --help"),
        (["-id=x"], "two dashes"),
        (["--id"], "needs a value"),
        (["--id", "--debug"], "needs a value"),
        (["--service-account-key=sesame"], "OMNI_SERVICE_ACCOUNT_KEY"),
    ],
)
def test_wrong_argument_is_named_with_its_remedy(arguments, said):
    [problem] = parse_command_line(arguments).problems
    assert said in problem
    assert problem.startswith(arguments[0].partition("=")[0])


def test_secret_on_the_command_line_is_not_repeated():
    [problem] = parse_command_line(["--service-account-key=sesame"]).problems
    assert "sesame" not in problem


def test_reading_goes_on_after_a_wrong_argument():
    line = parse_command_line(["--nope=1", "--id=a", "--neither"])
    assert line.given == {"id": "a"}
    assert len(line.problems) == 2


def test_secrets_go_to_child_processes_by_their_environment():
    options, variables = secrets_apart(
        [
            "--debug",
            "--api-token",
            "t0ken",
            "--id=a",
            "--machine-labels=k=v",
            "--machine-labels=k2",
            "--flower-password=",
        ]
    )
    assert options == ["--debug=true", "--id=a", "--machine-labels=k=v,k2", "--flower-password="]
    assert variables == {"OMNI_METAL_API_TOKEN": "t0ken"}

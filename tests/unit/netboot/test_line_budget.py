"""Lines of each event, as many as a log can bear."""

import structlog

from netboot.line_budget import LINES_PER_SECOND, BudgetedLog


def events(lines):
    return [line["event"] for line in lines]


def test_line_is_written_with_its_level_and_fields(clock, lines):
    log = BudgetedLog(structlog.get_logger(), clock)
    error = ValueError("odd")
    log.debug("one", a=1)
    log.info("two")
    log.warning("three")
    log.error("four", exc_info=error)
    assert lines == [
        {"event": "one", "log_level": "debug", "a": 1},
        {"event": "two", "log_level": "info"},
        {"event": "three", "log_level": "warning"},
        {"event": "four", "log_level": "error", "exc_info": error},
    ]


def test_flood_of_one_event_hides_no_other(clock, lines):
    log = BudgetedLog(structlog.get_logger(), clock)
    for _ in range(2 * LINES_PER_SECOND):
        log.info("nonsense")
    log.error("fault")
    assert events(lines) == ["nonsense"] * LINES_PER_SECOND + ["fault"]


def test_debug_line_that_is_not_written_is_not_left_out(clock, lines):
    structlog_of_info = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(20))
    log = BudgetedLog(structlog_of_info, clock)
    for _ in range(2 * LINES_PER_SECOND):
        log.debug("nonsense")
    assert log.left_out(at_end=True) == 0


def test_what_is_left_out_is_told_once_when_its_second_is_over(clock, lines):
    log = BudgetedLog(structlog.get_logger(), clock)
    for _ in range(LINES_PER_SECOND + 7):
        log.info("one")
    assert log.left_out() == 0
    clock.now_s += 1
    assert (log.left_out(), log.left_out()) == (7, 0)


def test_what_is_left_out_in_the_last_second_is_told_at_the_end(clock, lines):
    log = BudgetedLog(structlog.get_logger(), clock)
    for _ in range(LINES_PER_SECOND + 7):
        log.info("one")
        log.info("other")
    assert log.left_out(at_end=True) == 14


def test_next_second_has_lines_again(clock, lines):
    log = BudgetedLog(structlog.get_logger(), clock)
    for _ in range(3):
        for _ in range(LINES_PER_SECOND):
            log.info("one")
        clock.now_s += 1
    assert len(lines) == 3 * LINES_PER_SECOND

"""Every kind of failure, as the page on failures shows it: what the result says of it."""

from __future__ import annotations

import pytest

from llmcompiler import Limits
from llmcompiler.cli.exits import status_of
from llmcompiler.errors import (
    EndpointError,
    LimitReachedError,
    ReplyError,
    RunCancelledError,
    RunTimeoutError,
)
from llmcompiler.events import (
    LimitReached,
    PassApplied,
    PlanChanged,
    PlanIgnored,
    ResultShortened,
    RunPaused,
    StepFellBack,
    StepMending,
    StepRejected,
    StepRetrying,
    StepStarted,
)
from llmcompiler.plan import Cancelled, Failed, Ok, Skipped, TaskId
from tests.gallery.cases import CASES, Case, played
from tests.gallery.scene import ANSWER, Seen, play

GHOST = "there is no item 'ghost'; there are 'ink' and 'pen'"


def seen_of(title: str) -> Seen:
    return played(CASES[title])


def test_outcome_a_step_that_fails_takes_only_those_with_it_that_need_it() -> None:
    result = seen_of("A step fails").result
    assert result.status == "finished"
    assert result["1"] == Failed("ToolError", GHOST)
    assert result["2"] == Skipped("it needs $1", TaskId("1"))
    assert result["3"] == Ok(1.5)


def test_outcome_a_failed_step_is_written_again_and_what_waited_goes_on() -> None:
    seen = seen_of("A step fails and is mended")
    assert [seen.result[step] for step in "12"] == [Ok(4.0), Ok(8.0)]
    assert len(seen.of(StepMending)) == len(seen.of(PlanChanged)) == 1


def test_outcome_a_failed_call_that_is_written_again_as_it_was_is_not_made_again() -> None:
    seen = seen_of("A failed call is written again as it was")
    assert seen.result["1"] == Failed("ToolError", GHOST)
    assert len(seen.of(StepStarted)) == 1
    assert [event.reason for event in seen.of(PlanIgnored)] == ["this call has failed already"]


def test_outcome_a_call_that_takes_too_long_is_stopped_and_says_after_how_long() -> None:
    seen = seen_of("A call takes too long")
    assert seen.result["1"] == Failed("ToolTimeoutError", "timed out after 3 s")
    assert round(seen.result.seconds, 6) == 3.0


def test_outcome_a_call_that_is_tried_again_is_one_step() -> None:
    seen = seen_of("A call is tried again")
    assert seen.result["1"] == Ok("pen")
    assert [event.attempt for event in seen.of(StepRetrying)] == [2]
    assert len(seen.of(StepStarted)) == 1


def test_outcome_another_tool_takes_over_with_the_same_arguments() -> None:
    seen = seen_of("Another tool takes over")
    assert seen.result["1"] == Ok(1.4)
    assert [(event.step, event.tool) for event in seen.of(StepFellBack)] == [("1", "old_price")]


def test_outcome_a_fan_out_keeps_the_elements_that_succeeded() -> None:
    seen = seen_of("One call of a fan-out fails")
    failed = seen.result["2"]
    assert isinstance(failed, Failed)
    assert failed.elements == (Ok(1.5), Failed("ToolError", GHOST), Ok(4.0))
    assert f"$2 failed: 1 of 3 calls failed: [1] {GHOST}; the others gave [1.5, null, 4.0]" in (
        seen.read()
    )


def test_outcome_a_step_that_waits_for_approval_is_pending_and_the_others_are_done() -> None:
    seen = seen_of("A step waits for approval")
    assert seen.result.status == "pending"
    (request,) = seen.result.pending
    assert (request.step, request.args) == ("1", {"item": "ink", "pieces": 2})
    assert seen.result["2"] == Ok(1.5)
    assert seen.of(RunPaused)[0].pending == ("1",)


def test_outcome_a_denied_step_is_a_failure_of_its_own_kind() -> None:
    seen = seen_of("A step is denied")
    reason = "it was not approved: too much ink"
    assert seen.result["1"] == Failed("ApprovalDenied", reason, attempts=0)
    assert seen.of(StepStarted) == []


def test_outcome_what_cannot_fit_is_refused_before_it_runs() -> None:
    seen = seen_of("A result cannot fit where it goes")
    (rejected,) = seen.of(StepRejected)
    assert (rejected.step, rejected.line) == ("2", 2)
    assert rejected.message == "double: number must be a number, and $1 is a list"


def test_outcome_what_turns_out_not_to_fit_fails_before_the_tool_is_called() -> None:
    seen = seen_of("A result turns out not to fit")
    failed = seen.result["2"]
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.attempts) == ("ToolArgumentError", 0)
    assert [event.step for event in seen.of(StepStarted)] == ["1"]


def test_outcome_an_unknown_tool_is_refused_with_a_suggestion() -> None:
    (rejected,) = seen_of("There is no such tool").of(StepRejected)
    assert rejected.message == "there is no tool 'prize'; did you mean 'price'?"


def test_outcome_a_line_that_cannot_be_read_is_told_with_its_place() -> None:
    seen = seen_of("A line cannot be read")
    (rejected,) = seen.of(StepRejected)
    assert (rejected.line, rejected.column) == (1, 15)
    assert seen.result["1"] == Ok(1.5)


def test_outcome_a_line_that_is_never_repaired_is_a_failed_step() -> None:
    result = seen_of("A line is never repaired").result
    failed = result["1"]
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.attempts) == ("PlanError", 0)
    assert result["2"] == Skipped("it needs $1", TaskId("1"))


def test_outcome_a_call_that_is_planned_twice_is_made_once() -> None:
    seen = seen_of("The same call is planned twice")
    assert [seen.result[step] for step in "12"] == [Ok(1.5), Ok(1.5)]
    assert [(event.name, event.saved) for event in seen.of(PassApplied)] == [("merge", 1)]


def test_outcome_what_nobody_reads_is_skipped() -> None:
    seen = seen_of("Nobody reads a step")
    assert [seen.result[step] for step in "23"] == [Skipped("nobody reads it")] * 2
    assert [event.step for event in seen.of(StepStarted)] == ["1"]


def test_outcome_a_result_that_is_too_large_is_whole_in_the_result_and_shown_in_part() -> None:
    seen = seen_of("A result is too large")
    whole = seen.result["1"]
    assert isinstance(whole, Ok)
    assert isinstance(whole.value, list)
    assert len(whole.value) == 1000
    (shortened,) = seen.of(ResultShortened)
    assert shortened.shown <= 120 < shortened.chars
    assert "11 of 1,000 elements" in seen.read()[-1]


def test_outcome_a_plan_that_is_cut_off_goes_on_where_it_stopped() -> None:
    seen = seen_of("The plan is cut off")
    assert [seen.result[step] for step in "12"] == [Ok(1.5), Ok(4.0)]
    assert "The plan was cut off after line 1: go on from there." in seen.read()


def test_outcome_a_reply_of_no_form_is_asked_for_once_more_and_then_an_error() -> None:
    assert seen_of("The reply is neither plan nor answer").result.answer == "1.5"
    error = seen_of("The reply is neither plan nor answer, twice").result.error
    assert isinstance(error, ReplyError)
    assert error.text == "I am thinking."
    assert status_of(error) == 1


@pytest.mark.parametrize(
    "title", ["The model server is down", "The model server goes down in the middle"]
)
def test_outcome_a_model_server_that_is_down_ends_the_run(title: str) -> None:
    result = seen_of(title).result
    assert result.status == "failed"
    assert isinstance(result.error, EndpointError)
    assert status_of(result.error) == 1
    assert [step.outcome for step in result.steps] in ([], [Cancelled("the run failed")])


def test_outcome_a_run_out_of_time_answers_with_what_it_has() -> None:
    seen = seen_of("The time is up")
    assert seen.result.answer == "The pen costs 1.5."
    assert seen.result["2"] == Cancelled("the time is up")
    assert [(event.limit, event.value) for event in seen.of(LimitReached)] == [("seconds", 2)]


def test_outcome_a_run_out_of_time_with_nothing_to_answer_with_is_an_error() -> None:
    error = seen_of("The time is up and there is nothing to answer with").result.error
    assert isinstance(error, RunTimeoutError)
    assert status_of(error) == 1


def test_outcome_a_run_without_replans_or_model_calls_left_answers() -> None:
    for title, said in (
        ("Replans are used up", "No replans are left: answer with what there is."),
        ("Model calls are used up", "No model calls are left: answer with what there is."),
    ):
        seen = seen_of(title)
        assert seen.result.answer == "1.5"
        assert seen.read()[-1] == said


def test_outcome_a_tool_call_above_the_limit_fails_and_is_not_made() -> None:
    seen = seen_of("Tool calls are used up")
    assert seen.result["2"] == Failed(
        "LimitReached", "the limit of 1 tool call is used up", attempts=0
    )
    assert seen.result["1"] == Ok(1.5)


def test_outcome_tokens_that_are_used_up_end_the_run_and_keep_what_finished() -> None:
    result = seen_of("Tokens are used up").result
    assert isinstance(result.error, LimitReachedError)
    assert result.error.limit == "tokens"
    assert result["1"] == Ok(1.5)
    assert status_of(result.error) == 1


def test_outcome_a_cancelled_run_has_a_status_of_its_own() -> None:
    assert status_of(RunCancelledError()) == status_of(KeyboardInterrupt()) == 130


def test_outcome_no_case_of_the_page_hangs_however_the_model_is_cut() -> None:
    """Every case again, with the model's text in pieces and a limit on everything."""
    for title, case in CASES.items():
        options = {"limits": Limits(seconds=60), **case.options}
        seen = played(Case(case.replies, {**options, "delay": 0.01}))
        assert seen.result.status in ("finished", "failed", "pending"), title
    assert play(ANSWER).result.answer == "done"

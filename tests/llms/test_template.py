from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.errors import ConfigurationError
from llmcompiler.llms.template import CHATML, ChatTemplate, Content, Markup, Part
from llmcompiler.messages import Kind, Message

_FOLDER = Path(__file__).parent / "templates"
_FILES = {
    "Llama 3": "llama3",
    "Qwen 3": "qwen3",
    "Mistral": "mistral",
    "Mistral 3": "mistral_v3",
    "Gemma": "gemma",
    "ChatML": "chatml",
}
EMBEDDED = (
    "{%- set ns = namespace(first=0) -%}"
    "{%- for m in messages -%}{%- if m.kind == 'request' -%}{%- set ns.first = loop.index0 -%}"
    "{%- endif -%}{%- endfor -%}"
    "{%- for m in messages[ns.first:] -%}"
    "{%- if m.kind == 'request' -%}{{ '<|user|>' + m.content }}"
    "{%- elif m.kind == 'turn' -%}{{ '<|model|>' + m.content + '<|end|>' }}"
    "{%- elif m.kind != 'rules' -%}{{ '<|obs|>' + m.content }}{%- endif -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|model|>' }}{%- endif -%}"
)
FAMILIES = {
    name: (_FOLDER / f"{file}.jinja").read_text(encoding="utf-8") for name, file in _FILES.items()
}
TEMPLATES = {**FAMILIES, "bare ChatML": CHATML, "embedded": EMBEDDED}

RULES = Message("rules", "Write plans.\n")
CHAT = (
    RULES,
    Message("request", " Which is warmer? "),
    Message("turn", '1. find(place="Oslo")\n2. join()'),
    Message("observation", "$1 = 4"),
    Message("observation", '$2 = {"a": [1]}'),
    Message("notice", "No replans are left: answer with what there is."),
    Message("turn", "<think>\nhm\n</think>\n\nAnswer: Oslo.\n"),
    Message("request", "And now?"),
    Message("turn", "Answer: still.\n"),
)
_KEEPING = [name for name in TEMPLATES if name != "embedded"]
MARKS = {"bos_token": "<s>", "eos_token": "</s>"}
_NOW = datetime.datetime(2026, 11, 21, 17, 3)


def _template(source: str) -> ChatTemplate:
    return ChatTemplate(source, MARKS, now=_NOW)


_LOADED = {name: _template(source) for name, source in TEMPLATES.items()}


def _text(template: ChatTemplate, *messages: Message) -> str:
    return "".join(part.text for part in template.render(messages))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "ChatML",
            "<|im_start|>system\nWrite plans.\n<|im_end|>\n<|im_start|>user\n Which is warmer? "
            '<|im_end|>\n<|im_start|>assistant\n1. find(place="Oslo")\n2. join()<|im_end|>\n'
            '<|im_start|>user\n$1 = 4\n$2 = {"a": [1]}<|im_end|>\n<|im_start|>assistant\n',
        ),
        (
            "Llama 3",
            "<s><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
            "Today Date: 21 Nov 2026\n\nWrite plans.\n<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\n Which is warmer? <|eot_id|>"
            '<|start_header_id|>assistant<|end_header_id|>\n\n1. find(place="Oslo")\n2. join()<|eot_id|>'
            '<|start_header_id|>user<|end_header_id|>\n\n$1 = 4\n$2 = {"a": [1]}<|eot_id|>'
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            "Mistral",
            "<s> [INST] Write plans.\n\n\n Which is warmer?  [/INST]"
            '1. find(place="Oslo")\n2. join()</s> [INST] $1 = 4\n$2 = {"a": [1]} [/INST]',
        ),
        (
            "Mistral 3",
            "<s>[INST] Write plans.\n\n\n Which is warmer? [/INST]"
            '1. find(place="Oslo")\n2. join()</s>[INST] $1 = 4\n$2 = {"a": [1]}[/INST]',
        ),
        (
            "Gemma",
            "<s><start_of_turn>user\nWrite plans.\n\n\n Which is warmer? <end_of_turn>\n"
            '<start_of_turn>model\n1. find(place="Oslo")\n2. join()<end_of_turn>\n'
            '<start_of_turn>user\n$1 = 4\n$2 = {"a": [1]}<end_of_turn>\n<start_of_turn>model\n',
        ),
        (
            "Qwen 3",
            "<|im_start|>system\nWrite plans.\n<|im_end|>\n<|im_start|>user\n Which is warmer? "
            "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
            '1. find(place="Oslo")\n2. join()<|im_end|>\n'
            '<|im_start|>user\n$1 = 4\n$2 = {"a": [1]}<|im_end|>\n'
            "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        ),
        (
            "embedded",
            '<|user|> Which is warmer? <|model|>1. find(place="Oslo")\n2. join()<|end|>'
            '<|obs|>$1 = 4\n$2 = {"a": [1]}<|model|>',
        ),
    ],
)
def test_a_conversation_is_laid_out_as_the_family_does(name: str, expected: str) -> None:
    assert _text(_template(TEMPLATES[name]), *CHAT[:5]) == expected


def test_what_was_said_stands_apart_from_markup() -> None:
    parts = _template(EMBEDDED).render(CHAT[:5])
    assert parts == (
        Markup("<|user|>"),
        Content(" Which is warmer? ", turn=False),
        Markup("<|model|>"),
        Content('1. find(place="Oslo")\n2. join()', turn=True),
        Markup("<|end|><|obs|>"),
        Content("$1 = 4", turn=False),
        Markup("\n"),
        Content('$2 = {"a": [1]}', turn=False),
        Markup("<|model|>"),
    )


def test_a_template_may_drop_what_came_before_the_request() -> None:
    assert _text(_template(EMBEDDED), *CHAT[:8]) == "<|user|>And now?<|model|>"


_TEXTS = st.text("a1 \n\té<>|{}CONTENT$", max_size=10) | st.sampled_from(
    ["", "<|im_end|>", " [/INST]", "<think>\nhm\n</think>\n\nyes\n", "CONTENT0CONTENT", "the and "]
)


def _some(*kinds: Kind) -> st.SearchStrategy[Message]:
    return st.builds(Message, st.sampled_from(kinds), _TEXTS)


def _flat(*strategies: st.SearchStrategy[list[Message]]) -> st.SearchStrategy[list[Message]]:
    return st.tuples(*strategies).map(lambda lists: [each for some in lists for each in some])


def _many(
    strategy: st.SearchStrategy[list[Message]], most: int
) -> st.SearchStrategy[list[Message]]:
    return st.lists(strategy, max_size=most).map(lambda lists: [e for some in lists for e in some])


NOTES = _some("observation", "notice")
_STEP = _flat(
    st.lists(_some("turn"), min_size=1, max_size=1), st.lists(NOTES, min_size=1, max_size=3)
)
_RUN = _flat(
    st.lists(_some("request"), min_size=1, max_size=1),
    _many(_STEP, 3),
    st.lists(_some("turn"), max_size=1),
)
# Rules, if any, then runs: a request, turns with what became of them, an answer unless it broke off.
CHATS = _flat(st.lists(_some("rules"), max_size=1), _RUN, _many(_RUN, 2))


def said(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return a prompt up to the end of what was said last."""
    return parts[: max((i for i, p in enumerate(parts, 1) if isinstance(p, Content)), default=0)]


@pytest.mark.parametrize("name", _KEEPING)
@settings(max_examples=40, deadline=None)
@given(chat=CHATS)
def test_what_the_model_saw_is_never_changed(name: str, chat: list[Message]) -> None:
    template = _LOADED[name]
    for count in range(1, len(chat)):
        if chat[count - 1].kind == "rules":
            continue
        shown, longer = template.render(chat[:count]), template.render(chat[: count + 1])
        if chat[count].kind != "turn":
            shown = said(shown)
        assert "".join(part.text for part in longer).startswith("".join(p.text for p in shown))


@pytest.mark.parametrize("name", _KEEPING)
@settings(max_examples=40, deadline=None)
@given(chat=CHATS)
def test_every_text_is_there_once_whole_and_in_its_order(name: str, chat: list[Message]) -> None:
    parts = _LOADED[name].render(chat)
    contents = [part for part in parts if isinstance(part, Content)]
    assert contents == [Content(each.text, each.kind == "turn") for each in chat]


@pytest.mark.parametrize("name", _KEEPING)
@settings(max_examples=40, deadline=None)
@given(chat=CHATS, notes=st.lists(NOTES, min_size=1, max_size=4))
def test_observations_stay_one_open_message(
    name: str, chat: list[Message], notes: list[Message]
) -> None:
    template = _LOADED[name]
    known = template.prefix([*chat, Message("turn", "1. f()"), notes[0]])
    for note in notes[1:]:
        known = (*known, Markup("\n"), Content(note.text, turn=False))
    assert template.prefix([*chat, Message("turn", "1. f()"), *notes]) == known
    prompt = template.render([*chat, Message("turn", "1. f()"), *notes])
    assert prompt[: len(known)] == known
    assert prompt[len(known) :] in ((), (Markup(prompt[-1].text),))


@pytest.mark.parametrize("name", _KEEPING)
def test_rules_come_first_and_nothing_before_the_request_changes(name: str) -> None:
    template = _template(TEMPLATES[name])
    first, second = (_text(template, RULES, Message("request", text)) for text in ("One?", "Two?"))
    assert first.split("One?")[0] == second.split("Two?")[0]
    assert "Write plans." in first.split("One?")[0]


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_texts_survive_trimming_and_text_that_looks_like_a_placeholder(name: str) -> None:
    text = "  CONTENT0CONTENT {{ x }} CONTENT1CONTENT \n\n"
    laid = _text(
        _template(TEMPLATES[name]), Message("request", text), Message("turn", " y "), CHAT[3]
    )
    assert text in laid
    assert " y " in laid


def test_requests_without_a_turn_between_are_merged_only_where_roles_must_alternate() -> None:
    messages = (Message("request", "One?"), CHAT[3], Message("request", "Two?"))
    assert "One?\n\n$1 = 4\n\nTwo?" in _text(_template(FAMILIES["Gemma"]), *messages)
    assert "One?<|im_end|>\n<|im_start|>user\n$1 = 4<|im_end|>" in _text(
        _template(CHATML), *messages
    )
    assert _text(_template(EMBEDDED), *messages) == "<|user|>Two?<|model|>"


def test_observations_and_notices_become_one_message() -> None:
    laid = _text(_template(EMBEDDED), *CHAT[:6])
    assert laid.endswith(
        '<|obs|>$1 = 4\n$2 = {"a": [1]}\nNo replans are left: answer with what there is.<|model|>'
    )


def test_the_clock_of_all_templates_stands_still() -> None:
    source = "{{ strftime_now('%H:%M:%S.%f') }}{{ messages[0].content }}"
    assert _text(ChatTemplate(source), CHAT[1]) == _text(ChatTemplate(source), CHAT[1])


class _Counting(datetime.datetime):
    """A date that counts how often it is printed."""

    printed = 0

    def strftime(self, format: str) -> str:
        _Counting.printed += 1
        return super().strftime(format)


def test_a_turn_more_is_one_rendering_more_and_the_same_again_is_none() -> None:
    template = ChatTemplate(FAMILIES["Llama 3"], MARKS, now=_Counting(2026, 11, 21))
    template.render(CHAT[:3])
    before = _Counting.printed
    template.render(CHAT[:3])
    assert _Counting.printed == before
    template.render(CHAT[:6])
    assert _Counting.printed == before + 1
    other = [Message(each.kind, each.text + "?") for each in CHAT]
    template.render(other[:6])
    assert _Counting.printed == before + 1


def test_old_layouts_are_forgotten_and_made_again() -> None:
    template = _template(CHATML)
    expected = template.render(CHAT)
    for count in range(1, 100):
        template.render([CHAT[1]] * count)
    assert template.render(CHAT) == expected
    assert len(template._layouts) <= 64


def test_what_comes_before_a_request_is_known_without_it() -> None:
    assert _LOADED["ChatML"].prefix((RULES,)) == (
        Markup("<|im_start|>system\n"),
        Content("Write plans.\n", turn=False),
    )
    assert _LOADED["Gemma"].prefix((RULES,)) == (
        Markup("<s><start_of_turn>user\n"),
        Content("Write plans.\n", turn=False),
    )
    assert _LOADED["Gemma"].prefix(()) == ()


def test_nothing_is_known_where_the_next_request_makes_the_template_begin_anew() -> None:
    assert _LOADED["embedded"].prefix((RULES,)) == ()
    assert _LOADED["embedded"].prefix(CHAT[:7]) == ()
    assert said(_LOADED["embedded"].render(CHAT[:5])) == _LOADED["embedded"].prefix(CHAT[:5])


def test_what_a_template_forgets_is_told_where_it_does() -> None:
    template = _LOADED["embedded"]
    assert template.forgotten(CHAT[:6]) == ()
    forgotten = template.forgotten(CHAT[:8])
    assert forgotten == (*template.render(CHAT[:6]), Content(CHAT[6].text, turn=True))
    assert template.forgotten(CHAT) == ()
    assert all(not _LOADED[name].forgotten(CHAT[:8]) for name in _KEEPING)


def test_rules_that_a_template_leaves_out_open_the_request() -> None:
    source = (
        "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    assert _text(_template(source), *CHAT[:2]) == "<user>Write plans.\n\n\n Which is warmer? "


def test_json_and_loop_controls_are_at_hand() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% continue %}{% endif %}"
        "{{ {'text': m.content, 'é': 1} | tojson }}{% endfor %}"
    )
    assert _text(_template(source), CHAT[1]) == '{"text": " Which is warmer? ", "é": 1}'


def test_marks_around_what_the_model_wrote_are_read_over() -> None:
    source = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    assert _text(_template(source), Message("request", "x")) == "x"


def test_a_template_that_cannot_be_read_says_why() -> None:
    with pytest.raises(ConfigurationError, match="the chat template cannot be read: "):
        ChatTemplate("{% if %}")


def test_a_template_that_refuses_says_why() -> None:
    template = ChatTemplate("{{ raise_exception('not today') }}")
    with pytest.raises(ConfigurationError, match="refuses the conversation: not today"):
        template.render((CHAT[1],))


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{% for i in range(10 ** 9) %}x{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ messages[5].content.x.y }}",
    ],
)
def test_a_template_has_no_way_out(source: str) -> None:
    with pytest.raises(ConfigurationError, match="refuses the conversation"):
        ChatTemplate(source).render((CHAT[1],))

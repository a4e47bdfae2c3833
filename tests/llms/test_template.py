from __future__ import annotations

import datetime

import pytest

from llmcompiler.errors import ConfigurationError
from llmcompiler.llms.template import CHATML, ChatTemplate, Content, Markup
from llmcompiler.messages import Message

LLAMA3 = (
    "{{- bos_token }}{%- if not date_string is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- endif %}'
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system_message = '' %}{%- endif %}"
    '{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}'
    '{{- "Cutting Knowledge Date: December 2023\\n" }}{{- "Today Date: " + date_string + "\\n\\n" }}'
    '{{- system_message }}{{- "<|eot_id|>" }}'
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' "
    "+ message['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"
)
MISTRAL = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] %}"
    "{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}"
    "{{- bos_token }}"
    "{%- for message in loop_messages %}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('conversation roles must alternate user/assistant') }}{%- endif %}"
    "{%- if message['role'] == 'user' %}"
    "{%- if loop.first and system_message is defined %}"
    "{{- ' [INST] ' + system_message + '\\n\\n' + message['content'] + ' [/INST]' }}"
    "{%- else %}{{- ' [INST] ' + message['content'] + ' [/INST]' }}{%- endif %}"
    "{%- else %}{{- ' ' + message['content'] + eos_token }}{%- endif %}"
    "{%- endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
)
QWEN3 = (
    "{%- if messages[0].role == 'system' %}"
    "{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}"
    "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}"
    "{%- for message in messages[::-1] %}"
    "{%- set index = (messages|length - 1) - loop.index0 %}"
    '{%- if ns.multi_step_tool and message.role == "user" and message.content is string '
    "and not(message.content.startswith('<tool_response>')) %}"
    "{%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}{%- endif %}"
    "{%- endfor %}"
    "{%- for message in messages %}"
    '{%- if (message.role == "user") or (message.role == "system" and not loop.first) %}'
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    '{%- elif message.role == "assistant" %}'
    "{%- set content = message.content %}{%- set reasoning_content = '' %}"
    "{%- if '</think>' in message.content %}"
    "{%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}"
    "{%- set reasoning_content = message.content.split('</think>')[0].split('<think>')[-1] %}"
    "{%- endif %}"
    "{%- if loop.index0 > ns.last_query_index %}"
    "{{- '<|im_start|>assistant\\n<think>\\n' + reasoning_content + '\\n</think>\\n\\n' + content }}"
    "{%- else %}{{- '<|im_start|>assistant\\n' + content }}{%- endif %}"
    "{{- '<|im_end|>\\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}"
)
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
TEMPLATES = {
    "ChatML": CHATML,
    "Llama 3": LLAMA3,
    "Mistral": MISTRAL,
    "Gemma": GEMMA,
    "Qwen 3": QWEN3,
    "embedded": EMBEDDED,
}

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
_MARKS = {"bos_token": "<s>", "eos_token": "</s>"}
_NOW = datetime.datetime(2026, 11, 21, 17, 3)


def _template(source: str) -> ChatTemplate:
    return ChatTemplate(source, _MARKS, now=_NOW)


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


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "embedded"])
def test_what_the_model_saw_is_never_changed(name: str) -> None:
    template = _template(TEMPLATES[name])
    shown = ""
    for count, message in enumerate(CHAT):
        if message.kind != "turn":
            continue
        prompt = _text(template, *CHAT[:count])
        assert prompt.startswith(shown)
        shown = prompt + message.text
    assert _text(template, *CHAT, Message("request", "Bye.")).startswith(shown)


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "embedded"])
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
    assert "One?\n\n$1 = 4\n\nTwo?" in _text(_template(GEMMA), *messages)
    assert "One?<|im_end|>\n<|im_start|>user\n$1 = 4<|im_end|>" in _text(
        _template(CHATML), *messages
    )
    assert _text(_template(EMBEDDED), *messages) == "<|user|>Two?<|model|>"


def test_observations_and_notices_become_one_message() -> None:
    laid = _text(_template(EMBEDDED), *CHAT[:6])
    assert laid.endswith(
        '<|obs|>$1 = 4\n$2 = {"a": [1]}\nNo replans are left: answer with what there is.<|model|>'
    )


def test_the_clock_of_a_template_stands_still() -> None:
    template = ChatTemplate("{{ strftime_now('%H:%M:%S.%f') }}{{ messages[0].content }}")
    assert _text(template, CHAT[1]) == _text(template, CHAT[1])


def test_json_and_loop_controls_are_at_hand() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}"
        "{{ {'text': m.content, 'é': 1} | tojson }}{% endfor %}"
    )
    assert _text(_template(source), RULES, Message("request", "x")) == '{"text": "x", "é": 1}'


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

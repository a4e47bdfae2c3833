"""How does a step ask a model: once, or as an agent that plans calls of tools?

It does not know the workflow around the step.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from llmcompiler.agent import Agent
from llmcompiler.approval import ApprovalPolicy, Approver
from llmcompiler.errors import LLMCompilerError, ToolArgumentError, ToolError
from llmcompiler.limits import Limits
from llmcompiler.llms.metered import MeteredLLM
from llmcompiler.messages import LLM, Message, Price, Prompt, Sampling, TextDelta
from llmcompiler.output import OutputType
from llmcompiler.plan import Json
from llmcompiler.toolbox import RunContext, Tool, Toolbox
from llmcompiler.types import Type, problem
from llmcompiler.workflow.models import Models
from llmcompiler.workflow.secrecy import Redactor

__all__ = ["Asking", "agent_tool", "llm_tool", "traits"]

_COMPLAINT = "That cannot be used: {problem}. Write only JSON that fits the schema."


@dataclass(frozen=True, slots=True)
class Asking:
    """What it takes to ask a model: which there are by `names`, and what a run may do.

    `version` stands for how the models are set up: other ones give other results.
    """

    names: tuple[str, ...]
    models: Models
    redactor: Redactor
    approver: Approver | None
    policy: ApprovalPolicy | None
    limits: Limits
    version: str
    price: Price | None = None


def llm_tool(name: str, asking: Asking, returns: Mapping[str, Any] | None) -> Tool[..., Any]:
    """Return a tool that makes one call of a model; a reply that is not of the schema gets a second.

    `returns` is the schema of what it gives, None where that is not known yet.
    """

    async def ask(
        context: RunContext[Any],
        prompt: str,
        model: str | None = None,
        rules: str = "",
        output: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        max_tokens: int | None = 2048,
    ) -> Json:
        llm = _metered(asking.models.get(model), context)
        schema = None if output is None else dict(output)
        kind: OutputType[Any] = (
            OutputType.of(str) if schema is None else OutputType.of_schema(schema)
        )
        if schema is not None:
            wanted = json.dumps(schema, ensure_ascii=False, sort_keys=True)
            rules = f"{rules}\nWrite only JSON that fits this schema:\n{wanted}".lstrip()
        messages = [Message("rules", asking.redactor.text(rules))] if rules else []
        messages.append(Message("request", asking.redactor.text(prompt)))
        sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
        for last in (False, True):
            text = await _reply(llm, Prompt(tuple(messages), schema=schema), sampling)
            value, problem = kind.read(text.strip())
            if problem is None:
                return value
            if last:
                raise ToolError(problem)
            said = _COMPLAINT.format(problem=problem)
            messages += [Message("turn", text), Message("notice", said)]
        raise AssertionError("unreachable")

    properties: dict[str, Any] = {
        "prompt": {"type": "string", "description": "What the model is asked."},
        "model": _model(asking.names),
        "rules": {"type": "string", "description": "What it is told before."},
        "output": {"type": "object", "description": "The JSON Schema of its answer."},
        "temperature": {"type": "number", "minimum": 0},
        "max_tokens": {"type": "integer", "minimum": 1},
    }
    return _tool(name, ask, "Ask a model once.", properties, "prompt", returns, asking.version)


def agent_tool(
    name: str,
    asking: Asking,
    returns: Mapping[str, Any] | None,
    toolbox: Toolbox,
    chosen: Toolbox,
) -> Tool[..., Any]:
    """Return a tool that answers a request with a plan of its own, over some of the tools.

    `chosen` are those that it may call, as far as that is known: it writes if one of them does.
    """

    async def answer(
        context: RunContext[Any],
        request: str,
        model: str | None = None,
        tools: Sequence[str] | None = None,
        output: Mapping[str, Any] | None = None,
    ) -> Json:
        llm = _metered(asking.models.get(model), context)
        agent: Agent[Any] = Agent(
            llm,
            tools=toolbox.values() if tools is None else [toolbox[tool] for tool in tools],
            output_type=output,
            limits=asking.limits,
            approver=asking.approver,
            policy=asking.policy,
            price=asking.price,
        )
        try:
            result = await agent.run(asking.redactor.text(request), deps=context.deps)
        except LLMCompilerError as error:
            raise ToolError(f"the agent gave no answer: {error}") from error
        if result.status == "pending":
            steps = ", ".join(f"{each.step} ({each.tool})" for each in result.pending)
            raise ToolError(f"the agent's step {steps} needs approval, and nobody was there to ask")
        return result.answer if output is None else result.output

    properties: dict[str, Any] = {
        "request": {"type": "string", "description": "What the agent is asked."},
        "model": _model(asking.names),
        "tools": {
            "type": "array",
            "items": {"enum": sorted(toolbox)},
            "description": "The tools that it may call; without it, all.",
        },
        "output": {"type": "object", "description": "The JSON Schema of its answer."},
    }
    about = "Answer a request with a plan of its own."
    made = _tool(name, answer, about, properties, "request", returns, asking.version)
    return replace(made, **traits(chosen.values()))


def traits(tools: Iterable[Tool[..., Any]]) -> dict[str, Any]:
    """Return what a tool must own up to that calls these: that it writes, sends, or is not trusted."""
    inner = list(tools)
    return {
        "effects": "write" if any(tool.effects == "write" for tool in inner) else "read",
        "idempotent": all(tool.repeatable for tool in inner),
        "untrusted": any(tool.untrusted for tool in inner),
        "private": any(tool.private for tool in inner),
        "sends": any(tool.sends for tool in inner),
    }


def _tool(
    name: str,
    fn: Any,
    about: str,
    properties: dict[str, Any],
    needed: str,
    returns: Mapping[str, Any] | None,
    version: str,
) -> Tool[..., Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": [needed],
        "additionalProperties": False,
    }

    async def checked(context: RunContext[Any], **args: Json) -> Json:
        wrong = problem(args, Type(parameters), "the call")
        if wrong is not None:
            raise ToolArgumentError(wrong.removeprefix("the call."))
        made: Json = await fn(context, **args)
        return made

    return Tool(
        fn=checked,
        name=name,
        description=about,
        parameters=parameters,
        returns=None if returns is None else dict(returns),
        timeout=None,
        version=version,
        wants_context=True,
        is_async=True,
    )


def _model(models: Sequence[str]) -> dict[str, Any]:
    about = "A name under 'models'; without it, the first of them."
    return {"enum": [*models], "description": about} if models else {"type": "string"}


def _metered(llm: LLM, context: RunContext[Any]) -> LLM:
    return context.llm.over(llm) if isinstance(context.llm, MeteredLLM) else llm


async def _reply(llm: LLM, prompt: Prompt, sampling: Sampling) -> str:
    async with aclosing(llm.stream(prompt, sampling)) as deltas:
        return "".join([delta.text async for delta in deltas if isinstance(delta, TextDelta)])

"""Ask one question that takes several tools, and see them run side by side."""

import sys

from llmcompiler import Agent

agent = Agent(sys.argv[1] if len(sys.argv) > 1 else "embedded")
result = agent.run_sync(
    "How many hours are between Tokyo and Lima, "
    "and which of README.md, LICENSE and pyproject.toml is the largest?"
)
print(result.answer)
for bar in result.timeline:
    before, during = (round(60 * t / result.seconds) for t in (bar.start, bar.end - bar.start))
    print(f"{bar.step:>2}. {bar.tool:<14} {' ' * before}{'━' * (during or 1)}")

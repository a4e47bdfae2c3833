"""Plans of every shape, drawn by chance with what they come to, for tests of what is made of plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

from llmcompiler.frontier import resolve
from llmcompiler.plan import Argument, Each, Json, Plan, Policy, Ref, Star, Task, TaskId, Template
from llmcompiler.retry import Retry

_WORDS: Final = ["no", "true", "null", "~", "1", "1_0", "0x1", "1e3", ".5", "2020-01-01", "<<", "="]
_WORDS_TOO: Final = ["- a", "a: b", "a #b", "${{ x }}", "$${{", "$", "'", "steps", "{{", "}}", "%a"]
_SIGNS: Final = " \n\t$'\"{}[]:#-&*!|>%@`,?~.ab0é\u2028\x85\x07\U0001f600"
texts = st.sampled_from([*_WORDS, *_WORDS_TOO]) | st.text(st.sampled_from(_SIGNS), max_size=8)
names = st.sampled_from(["a", "b", "lat", "a name", "_x", "not", "0", "no", "<<", "items", ""])
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
rows = st.lists(st.fixed_dictionaries({"a": values, "b": st.lists(values, max_size=2)}), max_size=3)


class Plans:
    """Draws plans whose references are right, and computes what they come to."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.results: dict[str, Json] = {}
        self.tasks: list[Task] = []

    def ref(self) -> Ref:
        """Return a reference to something that is there."""
        task = self.draw(st.sampled_from(sorted(self.results)))
        path: list[Any] = []
        value: Any = self.results[task]
        while isinstance(value, dict | list) and value and self.draw(st.booleans()):
            inner = value
            if isinstance(value, dict):
                path.append(self.draw(st.sampled_from(sorted(value))))
            elif self.common(value) and self.draw(st.booleans()):
                path += [Star(), self.draw(st.sampled_from(sorted(self.common(value))))]
                break
            else:
                path.append(self.draw(st.integers(0, len(value) - 1)))
            value = inner[path[-1]]
        return Ref(TaskId(task), tuple(path))

    @staticmethod
    def common(elements: list[Any]) -> set[str]:
        """Return the names that every element has."""
        if not elements or not all(isinstance(element, dict) for element in elements):
            return set()
        return set[str].intersection(*map(set, elements))

    def at(self, ref: Ref) -> Json:
        return resolve(self.results[ref.task], ref)

    def argument(self) -> tuple[Argument, Json]:
        """Return an argument and what it comes to."""
        kinds = ["value", "list", "object"] + ["ref", "template"] * bool(self.results)
        match self.draw(st.sampled_from(kinds)):
            case "value":
                value = self.draw(values | rows)
                return value, value
            case "ref":
                ref = self.ref()
                return ref, self.at(ref)
            case "template":
                return self.template()
            case "list":
                inner = [self.argument() for _ in range(self.draw(st.integers(0, 2)))]
                return [one for one, _ in inner], [value for _, value in inner]
            case _:
                named = {name: self.argument() for name in self.draw(st.sets(names, max_size=2))}
                return {name: one for name, (one, _) in named.items()}, {
                    name: value for name, (_, value) in named.items()
                }

    def template(self) -> tuple[Template, Json]:
        parts: list[str | Ref] = []
        for _ in range(self.draw(st.integers(1, 3))):
            parts += [self.draw(texts)] * self.draw(st.booleans()) + [self.ref()]
        made = Template((*parts, *self.draw(st.lists(texts, max_size=1))))
        return made, made.evaluate(self.at)

    def lists(self) -> list[Ref]:
        """Return references to lists among the results."""
        refs = [Ref(TaskId(task)) for task in self.results]
        for task, value in self.results.items():
            if isinstance(value, dict):
                refs += [Ref(TaskId(task), (name,)) for name in value]
            if isinstance(value, list):
                refs += [Ref(TaskId(task), (Star(), name)) for name in sorted(self.common(value))]
        return [ref for ref in refs if isinstance(self.at(ref), list)]

    def step(self) -> None:
        """Add a task."""
        task = TaskId(str(len(self.tasks) + 1))
        lists = self.lists()
        match self.draw(st.sampled_from(["echo", "pair", "say"] + ["each", "two"] * bool(lists))):
            case "echo":
                argument, value = self.argument()
                self.add(Task(task, "echo", {"value": argument}), value)
            case "pair":
                (left, one), (right, other) = self.argument(), self.argument()
                self.add(
                    Task(task, "pair", {"left": left, "right": right}),
                    {"left": one, "right": other},
                )
            case "say":
                whole, text = self.template() if self.results else (self.draw(texts),) * 2
                self.add(Task(task, "say", {"text": whole}), text)
            case "each":
                over = self.draw(st.sampled_from(lists))
                beside, value = self.argument()
                made: Any = [{"left": one, "right": value} for one in self.elements(over)]
                self.add(Task(task, "pair", {"left": Each(over), "right": beside}), made)
            case _:
                over = self.draw(st.sampled_from(lists))
                many = len(self.elements(over))
                alike = [ref for ref in lists if len(self.elements(ref)) == many]
                other_list = self.draw(st.sampled_from(alike))
                made = [
                    {"left": one, "right": two}
                    for one, two in zip(self.elements(over), self.elements(other_list), strict=True)
                ]
                args: dict[str, Argument] = {"left": Each(over), "right": Each(other_list)}
                self.add(Task(task, "pair", args), made)

    def elements(self, ref: Ref) -> list[Any]:
        found = self.at(ref)
        assert isinstance(found, list)
        return found

    def add(self, task: Task, value: Json) -> None:
        self.tasks.append(task)
        self.results[task.id] = value


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, dict[str, Json]]:
    making = Plans(draw)
    for _ in range(draw(st.integers(1, 6))):
        making.step()
    ids = [task.id for task in making.tasks]
    joins = draw(st.none() | st.lists(st.sampled_from(ids), min_size=1, max_size=2, unique=True))
    request = draw(st.none() | texts)
    return Plan(
        tuple(making.tasks), None if joins is None else tuple(joins), request
    ), making.results


seconds = st.sampled_from([0.05, 0.2, 1.0, 12.5, 90.0, 3600.0])
retries = st.builds(
    Retry,
    attempts=st.integers(0, 5),
    delay=seconds,
    factor=st.sampled_from([1.0, 2.0]),
    ceiling=seconds,
    jitter=st.just(0.0) | seconds,
    on=st.sampled_from([(), ("ToolError",), ("ToolError", "OSError")]),
) | st.builds(Retry, attempts=st.integers(0, 5), factor=st.just(1.0), linear=st.just(value=True))
policies = st.builds(
    Policy,
    timeout=st.none() | seconds,
    retries=st.none() | st.integers(0, 3),
    approve=st.none() | st.just("it is dear"),
    retry=st.none() | retries,
    limit=st.none() | st.integers(1, 9),
    cache=st.none() | st.booleans(),
)

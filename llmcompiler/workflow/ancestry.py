"""Which steps come before which, and which wait for each other in a circle?

It does not know what a step is: it sees names, and who needs whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["ancestors", "circles"]


def ancestors(name: str, needs: Mapping[str, Iterable[str]]) -> dict[str, None]:
    """Return all that must end before `name` may begin, those it needs itself first."""
    found: dict[str, None] = {}
    waiting = list(needs.get(name, ()))
    while waiting:
        following: list[str] = []
        for one in waiting:
            if one not in found:
                found[one] = None
                following.extend(needs.get(one, ()))
        waiting = following
    return found


def circles(needs: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return a shortest circle for each group of names that need each other: ``[a, b, a]``."""
    left = {name: set(those) for name, those in needs.items()}
    free = [name for name, those in left.items() if not any(one in left for one in those)]
    dependents: dict[str, list[str]] = {}
    for name, those in left.items():
        for one in those:
            dependents.setdefault(one, []).append(name)
    open_needs = {name: sum(one in left for one in those) for name, those in left.items()}
    while free:  # what is in no circle, and waits for none, goes
        done = free.pop()
        del open_needs[done]
        for dependent in dependents.get(done, ()):
            open_needs[dependent] -= 1
            if not open_needs[dependent]:
                free.append(dependent)
    found: list[list[str]] = []
    seen: set[str] = set()
    for name in needs:
        if name in open_needs and name not in seen:
            path = _around(name, needs, open_needs)
            if path:
                found.append(path)
                seen.update(_group(name, needs, open_needs))
    return found


def _around(
    name: str, needs: Mapping[str, Iterable[str]], among: Mapping[str, object]
) -> list[str]:
    """Return a shortest way from a name back to itself; none if there is no such way."""
    came: dict[str, str] = {}
    waiting = [name]
    while waiting:
        following: list[str] = []
        for one in waiting:
            for need in needs.get(one, ()):
                if need == name:
                    path = [name, one]
                    while path[-1] != name:
                        path.append(came[path[-1]])
                    return path[::-1]
                if need in among and need not in came:
                    came[need] = one
                    following.append(need)
        waiting = following
    return []


def _group(name: str, needs: Mapping[str, Iterable[str]], among: Mapping[str, object]) -> set[str]:
    """Return what a name needs, through others too, that needs it in turn."""
    before = {one for one in ancestors(name, needs) if one in among}
    turned: dict[str, list[str]] = {}
    for one in before:
        for need in needs.get(one, ()):
            turned.setdefault(need, []).append(one)
    return set(ancestors(name, turned)) | {name}

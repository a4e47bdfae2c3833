"""Which tokens probably follow, going by what stands in the prompt and was written before?

It does not know the model, the grammar or what a wrong guess costs: whoever asks checks the guess.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, Protocol

__all__ = ["LONGEST", "Drafts", "Forms", "NgramDrafts"]

LONGEST: Final = 16
"""How many tokens a guess has at most."""

_BORDER: Final = -1  # stands between two sources, where no guess goes on
_TAIL: Final = 3  # tokens of the longest context
_FADE: Final = 0.9
_PRIOR: Final = (0.7, 0.7, 0.8)  # first, second and later tokens; from plans of public requests
_WEIGHT: Final = 4.0


class Drafts(Protocol):
    """Guesses what follows in one text. Whoever uses it tells it every token that was accepted."""

    @property
    def chances(self) -> tuple[float, ...]:
        """How likely each token of the last guess is to be right, if all before it are."""
        ...

    @property
    def price(self) -> float:
        """What guessing costs, in seconds a token; 0 where it costs next to nothing."""
        ...

    def extend(self, tokens: Sequence[int]) -> None:
        """Note that `tokens` were accepted."""
        ...

    def draft(self, most: int) -> tuple[int, ...]:
        """Guess up to `most` tokens that follow; nothing where there is no good guess."""
        ...

    def close(self) -> None:
        """Let go of what is held for this text; doing it again is harmless."""
        ...


class Forms(dict[int, Hashable]):
    """What tokens are compared by: their text without blanks and quotes before it, and without case.

    A value after an opening quote and the same words in the middle of a sentence begin with
    different tokens and are the same in form. Tokens that have no text but that are told apart.
    `piece` gives the bytes of a token.
    """

    __slots__ = ("_piece",)

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        super().__init__()
        self._piece = piece

    def __missing__(self, token: int) -> Hashable:
        piece = self._piece(token)
        found = self[token] = piece.lstrip(b" \"'").lower() or piece or token
        return found


class NgramDrafts:
    """Guesses that what followed the last tokens before follows again.

    `prompt` is all that the text answers to, `quoted` those texts of it that values are copied
    from, such as a request and results: there a single token is context enough. Elsewhere two or
    three are needed. The longest context counts, then the latest place. A guess ends at the end of
    a source and where what followed has just changed. Tokens are equal if their `forms` are; without
    these if they are the same.

    How likely a guess is to be right is learnt from this text alone, by following guesses whether
    or not anybody used them: wherever values are not copied, the chances sink and nobody pays.
    """

    __slots__ = (
        "_chances",
        "_followed",
        "_form",
        "_own",
        "_quoted",
        "_single",
        "_sources",
        "_tail",
    )

    def __init__(
        self,
        prompt: Sequence[int],
        quoted: Iterable[Sequence[int]] = (),
        forms: Forms | None = None,
    ) -> None:
        self._form = forms
        asked = _Source(forms, (3, 2))
        asked.add(prompt)
        self._own = _Source(forms, (3, 2))
        self._quoted = _Source(forms, (3, 2, 1))
        for each in quoted:
            self._quoted.add(each)
        sources = (self._quoted, self._own, asked) if self._quoted.forms else (self._own, asked)
        self._sources = [(source, _Rates()) for source in sources]
        self._single = _Rates()
        self._tail: tuple[Hashable, ...] = (object(), object(), object())  # like nothing else
        self._followed: tuple[tuple[int, ...], int, _Rates] | None = None
        self._chances: tuple[float, ...] = ()
        self.extend(prompt[-_TAIL:])

    @property
    def chances(self) -> tuple[float, ...]:
        """How likely each token of the last guess is to be right, if all before it are."""
        return self._chances

    @property
    def price(self) -> float:
        """Nothing: a guess is a few look-ups."""
        return 0.0

    def extend(self, tokens: Sequence[int]) -> None:
        """Note that `tokens` were accepted."""
        for token in tokens:
            if self._followed is not None:
                guess, place, rates = self._followed
                right = guess[place] == token
                rates.note(place, right)
                going_on = right and place + 1 < len(guess)
                self._followed = (guess, place + 1, rates) if going_on else None
            form = token if self._form is None else self._form[token]
            self._own.append(token, form, self._tail)
            self._tail = (*self._tail[1:], form)

    def draft(self, most: int) -> tuple[int, ...]:
        """Guess up to `most` tokens that follow; nothing where there is no good guess."""
        guess, rates = self._guess()
        if not guess:
            self._chances = ()
            return ()
        if self._followed is None:
            self._followed = (guess, 0, rates)
        guess = guess[: max(0, most)]
        self._chances = tuple(rates.chance(place) for place in range(len(guess)))
        return guess

    def close(self) -> None:
        """Let go of nothing; it is only memory."""

    def _guess(self) -> tuple[tuple[int, ...], _Rates]:
        for context in (self._tail, self._tail[1:]):
            for source, rates in self._sources:
                guess = source.follow(context)
                if guess:
                    return guess, rates
        context = self._tail[2:]
        guess = () if self._quoted.wavers(context) else self._quoted.follow(context)
        return guess, self._single


class _Source:
    """Tokens, and for each context the place behind its latest occurrence."""

    __slots__ = ("_form", "_lengths", "_places", "_tokens", "_wavering", "forms")

    def __init__(self, form: Forms | None, lengths: tuple[int, ...]) -> None:
        self.forms: list[Hashable] = []
        self._form = form
        self._lengths = lengths
        self._tokens: list[int] = []
        self._places: dict[tuple[Hashable, ...], int] = {}
        self._wavering: set[tuple[Hashable, ...]] = set()

    def add(self, tokens: Sequence[int]) -> None:
        """Take in a whole text, with a border behind it."""
        start = len(self._tokens)
        forms = list(tokens) if self._form is None else [self._form[token] for token in tokens]
        self._tokens.extend(tokens)
        self.forms.extend(forms)
        places, known = self._places, self._tokens
        for length in self._lengths:
            contexts = zip(*(forms[shift:] for shift in range(length)), strict=False)
            found = list(zip(contexts, range(start + length, len(known)), strict=False))
            if length != 2:
                self._compare(found if start else [])
            places.update(found)
            if length != 2:
                self._compare(found)
        self._tokens.append(_BORDER)
        self.forms.append(object())

    def _compare(self, found: list[tuple[tuple[Hashable, ...], int]]) -> None:
        """Note the contexts behind which something else stands than at the latest place known."""
        places, known = self._places, self._tokens
        self._wavering.update(
            context for context, place in found if known[places.get(context, place)] != known[place]
        )

    def append(self, token: int, form: Hashable, tail: tuple[Hashable, ...]) -> None:
        """Take in the next token of the text that is being written, behind the forms of `tail`."""
        places, known = self._places, self._tokens
        place = len(known)
        known.append(token)
        self.forms.append(form)
        for context in (tail, tail[1:]):
            before = places.get(context)
            places[context] = place
            if before is not None:
                if known[before] == token:
                    self._wavering.discard(context)
                else:
                    self._wavering.add(context)

    def wavers(self, context: tuple[Hashable, ...]) -> bool:
        """Say whether different tokens followed a context."""
        return context in self._wavering

    def follow(self, context: tuple[Hashable, ...]) -> tuple[int, ...]:
        """Return what followed a context, as far as a guess goes."""
        start = self._places.get(context)
        if start is None:
            return ()
        guess = self._tokens[start : start + LONGEST]
        for place, token in enumerate(guess):
            behind = start + place
            if token == _BORDER or (
                place and tuple(self.forms[behind - _TAIL : behind]) in self._wavering
            ):
                return tuple(guess[:place])
        return tuple(guess)


class _Rates:
    """How often the first, the second and the later tokens of guesses were right, lately."""

    __slots__ = ("_right", "_tried")

    def __init__(self) -> None:
        self._right = [chance * _WEIGHT for chance in _PRIOR]
        self._tried = [_WEIGHT] * len(_PRIOR)

    def note(self, place: int, right: bool) -> None:
        place = min(place, len(_PRIOR) - 1)
        self._right[place] = self._right[place] * _FADE + right
        self._tried[place] = self._tried[place] * _FADE + 1

    def chance(self, place: int) -> float:
        place = min(place, len(_PRIOR) - 1)
        return self._right[place] / self._tried[place]

"""A matcher whose time grows with the text and the pattern, never with the ways they combine.

Python's own ``re`` backtracks: a pattern such as ``(a+)+$`` takes longer than anybody
waits. Here a pattern is a nondeterministic automaton, and all of its states move
together over the text. Only "is there a match" is answered.

Source: K. Thompson, "Regular Expression Search Algorithm", CACM 11(6), 1968.
"""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

MOST_STATES: Final = 1_000
MOST_TEXT: Final = 10_000
_MOST_WORK: Final = 100_000
_WORD: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")

Atom: TypeAlias = Callable[[str], bool]
Place: TypeAlias = Literal["begin", "end", "line_begin", "line_end", "word", "not_word"]
# What a state does: take a character, hold at a place, go on in several ways, or accept.
State: TypeAlias = tuple[Atom | Place | None, list[int]]


class PatternError(ValueError):
    """The pattern says nothing valid, or what cannot be answered in bounded time."""


class Program:
    """An automaton under construction; each method returns the number of its first state.

    States are added from the last one back: every method takes the state to go on with.
    """

    def __init__(self) -> None:
        self.states: list[State] = []
        self.accept = self._add(None, [])

    def _add(self, does: Atom | Place | None, then: list[int]) -> int:
        if len(self.states) >= MOST_STATES:
            msg = f"more than {MOST_STATES} states"
            raise PatternError(msg)
        self.states.append((does, then))
        return len(self.states) - 1

    def take(self, atom: Atom, then: int) -> int:
        """Take one character that *atom* accepts."""
        return self._add(atom, [then])

    def hold(self, place: Place, then: int) -> int:
        """Go on only at *place*."""
        return self._add(place, [then])

    def either(self, ways: list[int]) -> int:
        """Go on in any of *ways*."""
        return self._add(None, ways)

    def loop(self, body: Callable[[int], int]) -> tuple[int, list[int]]:
        """Return a state that may enter *body* again and again, and its ways, to be completed."""
        ways: list[int] = []
        state = self._add(None, ways)
        ways.append(body(state))
        return state, ways

    def matcher(self, start: int) -> Callable[[str], bool]:
        """Return the test whether the automaton accepts any part of a text.

        A text longer than 10,000 characters does not match, nor does one that would
        take more than 100,000 steps.
        """
        states, accept = tuple(self.states), self.accept
        return lambda text: len(text) <= MOST_TEXT and _run(states, start, accept, text)


def _run(states: tuple[State, ...], start: int, accept: int, text: str) -> bool:
    active: list[int] = []
    work = 0
    for at in range(len(text) + 1):
        reached = _closure(states, [*active, start], text, at)
        if accept in reached:
            return True
        if at == len(text):
            break
        char, active = text[at], []
        work += len(reached)
        if work > _MOST_WORK:
            return False
        for number in reached:
            does, then = states[number]
            if does is not None and not isinstance(does, str) and does(char):
                active.append(then[0])
    return False


def _closure(states: tuple[State, ...], seeds: list[int], text: str, at: int) -> dict[int, None]:
    """Return every state that is reached from *seeds* without a character."""
    reached: dict[int, None] = {}
    waiting = seeds
    while waiting:
        number = waiting.pop()
        if number in reached:
            continue
        reached[number] = None
        does, then = states[number]
        if does is None or (isinstance(does, str) and _PLACES[does](text, at)):
            waiting.extend(then)
    return reached


def _is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and text[at] in _WORD


def _at_word(text: str, at: int) -> bool:
    return _is_word(text, at - 1) is not _is_word(text, at)


_PLACES: Final[dict[str, Callable[[str, int], bool]]] = {
    "begin": lambda _text, at: at == 0,
    "end": lambda text, at: at == len(text),
    "line_begin": lambda text, at: at == 0 or text[at - 1] == "\n",
    "line_end": lambda text, at: at == len(text) or text[at] == "\n",
    "word": _at_word,
    "not_word": lambda text, at: not _at_word(text, at),
}

"""Regular expressions from a document: found in linear time, whatever the pattern and the text.

A document is somebody's input, and ``re`` can be made to take for ever. Here a pattern becomes
an automaton that looks at each character once. What cannot be done that way (references,
look-around, word boundaries) is refused when the document is read.
"""

from collections.abc import Callable
from typing import Final

from shared.feature_flags._regex_parse import Graph, parse_pattern

__all__ = ["compile_bounded"]

_LONGEST_TEXT: Final = 1000
_MOST_STEPS: Final = 20_000  # remembered, of all states together


class _State:
    """Where the automaton can be after some text."""

    __slots__ = ("is_match", "is_match_at_end", "nodes", "steps")

    def __init__(self, graph: Graph, nodes: frozenset[int]) -> None:
        self.nodes = nodes
        self.steps: dict[str, _State] = {}
        self.is_match = graph.match in nodes
        self.is_match_at_end = graph.match in graph.reach(nodes, at_end=True)


class _Automaton:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._again = graph.reach([graph.start])  # a match may begin anywhere
        self._reset()

    def _reset(self) -> None:
        self._states: dict[frozenset[int], _State] = {}
        self._steps = 0
        self._begin = self._state(self._graph.reach([self._graph.start], at_start=True))

    def _state(self, nodes: frozenset[int]) -> _State:
        found = self._states.get(nodes)
        return found or self._states.setdefault(nodes, _State(self._graph, nodes))

    def matches(self, text: str) -> bool:
        if len(text) > _LONGEST_TEXT:
            return False
        state = self._begin
        for char in text:
            if state.is_match:
                return True
            state = state.steps.get(char) or self._step(state, char)
        return state.is_match or state.is_match_at_end

    def _step(self, state: _State, char: str) -> _State:
        if self._steps >= _MOST_STEPS:  # forget, and begin to remember anew
            self._reset()
        graph = self._graph
        moved = [graph.after[node] for node in state.nodes if (test := graph.tests[node]) and test(char)]
        after = self._state(graph.reach(moved) | self._again)
        state.steps[char] = after
        self._steps += 1
        return after


def compile_bounded(pattern: object) -> Callable[[str], bool]:
    r"""Return whether *pattern* is found somewhere in a text, as a function.

    The syntax is that of ``re`` for text: ``. [] () | ^ $ * + ? {m,n}``, ``(?:…)``, ``(?i)`` at
    the beginning, ``\d \w \s`` and their opposites. A text longer than 1000 characters never
    matches. The time is proportional to the text.

    Raises:
        ValueError: It is no such pattern, longer than 500 characters, or too large once its
            repetitions are written out.
    """
    return _Automaton(parse_pattern(pattern)).matches

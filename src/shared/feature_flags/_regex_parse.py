"""From the text of a pattern to a graph of nodes."""

from collections.abc import Callable, Iterable
from typing import Final, NoReturn, TypeAlias

__all__ = ["Graph", "parse_pattern"]

_LONGEST: Final = 500
_MOST_NODES: Final = 800
_DEEPEST: Final = 30
_MOST_TIMES: Final = 500

CharTest: TypeAlias = Callable[[str], bool]
_Piece: TypeAlias = tuple[int, int]  # first and last node

_CLASSES: Final[dict[str, CharTest]] = {
    "d": str.isdecimal,
    "w": lambda char: char.isalnum() or char == "_",
    "s": str.isspace,
    "D": lambda char: not char.isdecimal(),
    "W": lambda char: not (char.isalnum() or char == "_"),
    "S": lambda char: not char.isspace(),
}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_PLAIN, _AT_START, _AT_END = 0, 1, 2


class Graph:
    """Nodes that consume a character, and ways between nodes that consume none."""

    def __init__(self) -> None:
        self.tests: list[CharTest | None] = []
        self.after: list[int] = []
        self.ways: list[list[tuple[int, int]]] = []
        self.start = 0
        self.match = 0

    def node(self, test: CharTest | None = None) -> int:
        """Add a node and return its number."""
        if len(self.tests) >= _MOST_NODES:
            msg = f"a smaller pattern expected: it comes to more than {_MOST_NODES} steps"
            raise ValueError(msg)
        self.tests.append(test)
        self.after.append(-1)
        self.ways.append([])
        return len(self.tests) - 1

    def reach(self, nodes: Iterable[int], *, at_start: bool = False, at_end: bool = False) -> frozenset[int]:
        """Return *nodes* and all that are reached from them without a character."""
        allowed = {_PLAIN} | ({_AT_START} if at_start else set()) | ({_AT_END} if at_end else set())
        found = set(nodes)
        waiting = list(found)
        while waiting:
            for kind, node in self.ways[waiting.pop()]:
                if kind in allowed and node not in found:
                    found.add(node)
                    waiting.append(node)
        return frozenset(found)


def parse_pattern(pattern: object) -> Graph:
    """Return *pattern* as a graph.

    Raises:
        ValueError: It is no pattern, or one of a kind or size that is refused.
    """
    if not isinstance(pattern, str) or len(pattern) > _LONGEST:
        msg = f"a pattern of at most {_LONGEST} characters expected"
        raise ValueError(msg)
    return _Parser(pattern).parse()


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0
        self._graph = Graph()
        self._any_case = pattern.startswith("(?i)")
        if self._any_case:
            self._at = 4

    def parse(self) -> Graph:
        first, last = self._choice()
        if self._at < len(self._text):
            self._refuse("a parenthesis is closed that was not opened")
        self._graph.start, self._graph.match = first, last
        return self._graph

    # -- the grammar -----------------------------------------------------------------------

    def _choice(self) -> _Piece:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse(f"groups are nested deeper than {_DEEPEST}")
        pieces = [self._sequence()]
        while self._take("|"):
            pieces.append(self._sequence())
        self._depth -= 1
        return pieces[0] if len(pieces) == 1 else self._either(pieces)

    def _sequence(self) -> _Piece:
        first = last = self._graph.node()
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            begin, end = self._repeated()
            self._way(last, begin)
            last = end
        return first, last

    def _repeated(self) -> _Piece:
        origin = self._at
        piece = self._atom()
        stop = self._at
        times = self._times()
        if times is None:
            return piece
        if (self._at < len(self._text) and self._text[self._at] in "*+") or self._times() is not None:
            self._refuse("a repetition is repeated")
        return self._repeat(origin, stop, piece, *times)

    def _times(self) -> tuple[int, int | None] | None:
        """Read what follows: how often at least and at most; None where nothing is said."""
        if self._take("*"):
            found: tuple[int, int | None] = (0, None)
        elif self._take("+"):
            found = (1, None)
        elif self._take("?"):
            found = (0, 1)
        else:
            counted = self._counted()
            if counted is None:
                return None
            found = counted
        self._take("?")  # as few as possible: for yes or no it is the same
        return found

    def _counted(self) -> tuple[int, int | None] | None:
        end = self._text.find("}", self._at)
        if not self._text.startswith("{", self._at) or end < 0:
            return None
        low, comma, high = self._text[self._at + 1 : end].partition(",")
        if not (low or comma) or not all(
            part == "" or (part.isascii() and part.isdigit()) for part in (low, high)
        ):
            return None
        if low == high == "":
            return None
        self._at = end + 1
        least = int(low or 0)
        most = None if comma and not high else int(high or low)
        if least > _MOST_TIMES or (most or 0) > _MOST_TIMES or (most is not None and most < least):
            self._refuse(f"a repetition is {least} to {most} times, at most {_MOST_TIMES} are allowed")
        return least, most

    def _atom(self) -> _Piece:
        char = self._text[self._at]
        self._at += 1
        if char == "(":
            return self._group()
        if char == "[":
            return self._one(self._class())
        if char == ".":
            return self._one(lambda found: found != "\n")
        if char in {"^", "$"}:
            first, last = self._graph.node(), self._graph.node()
            self._graph.ways[first].append((_AT_START if char == "^" else _AT_END, last))
            return first, last
        if char == "\\":
            return self._one(self._escape())
        if char in "*+?":
            self._refuse("nothing stands before a repetition")
        return self._one(self._literal(char))

    def _group(self) -> _Piece:
        if self._take("?") and not self._take(":"):
            self._refuse(
                "only (…) and (?:…) are known: no look-around, names or flags, but (?i) at the beginning"
            )
        piece = self._choice()
        if not self._take(")"):
            self._refuse("a parenthesis is not closed")
        return piece

    # -- characters ------------------------------------------------------------------------

    def _literal(self, char: str) -> CharTest:
        if self._any_case:
            either = {char, char.lower(), char.upper(), char.swapcase()}
            return lambda found: found in either
        return lambda found: found == char

    def _escape(self) -> CharTest:
        char = self._escaped()
        return _CLASSES[char[1]] if char.startswith("\\") else self._literal(char)

    def _escaped(self) -> str:
        """Read what follows a backslash: a character, or a class with its backslash."""
        if self._at >= len(self._text):
            self._refuse("it ends with a backslash")
        char = self._text[self._at]
        self._at += 1
        if char in _CLASSES:
            return f"\\{char}"
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isalnum():
            self._refuse(f"\\{char} is not known: no references and word boundaries")
        return char

    def _class(self) -> CharTest:
        negated = self._take("^")
        singles: set[str] = set()
        ranges: list[tuple[str, str]] = []
        tests: list[CharTest] = []
        is_first = True
        while is_first or not self._text.startswith("]", self._at):
            low = self._member()
            if low.startswith("\\") and len(low) == 2:
                tests.append(_CLASSES[low[1]])
            elif self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                high = self._member()
                if len(high) != 1 or high < low:
                    self._refuse("a range of characters runs backwards")
                ranges.append((low, high))
            else:
                singles.add(low)
            is_first = False
        self._at += 1
        return self._within(singles, ranges, tests, negated=negated)

    def _member(self) -> str:
        if self._at >= len(self._text):
            self._refuse("a bracket is not closed")
        char = self._text[self._at]
        self._at += 1
        return self._escaped() if char == "\\" else char

    def _within(
        self, singles: set[str], ranges: list[tuple[str, str]], tests: list[CharTest], *, negated: bool
    ) -> CharTest:
        any_case = self._any_case

        def is_in(char: str) -> bool:
            return (
                char in singles
                or any(low <= char <= high for low, high in ranges)
                or any(test(char) for test in tests)
            )

        def is_within(char: str) -> bool:
            found = is_in(char) or (any_case and (is_in(char.lower()) or is_in(char.upper())))
            return found is not negated

        return is_within

    # -- the graph -------------------------------------------------------------------------

    def _one(self, test: CharTest) -> _Piece:
        first = self._graph.node(test)
        last = self._graph.node()
        self._graph.after[first] = last
        return first, last

    def _either(self, pieces: list[_Piece]) -> _Piece:
        first, last = self._graph.node(), self._graph.node()
        for begin, end in pieces:
            self._way(first, begin)
            self._way(end, last)
        return first, last

    def _repeat(self, origin: int, stop: int, piece: _Piece, least: int, most: int | None) -> _Piece:
        """Write the piece out as often as needed; it is read anew for each time."""
        first = last = self._graph.node()
        rest = self._at
        fresh: _Piece | None = piece
        for _ in range(least):
            begin, end = fresh or self._read_again(origin, stop)
            fresh = None
            self._way(last, begin)
            last = end
        if most is None:
            begin, end = fresh or self._read_again(origin, stop)
            loop, out = self._graph.node(), self._graph.node()
            self._way(last, loop)
            self._way(loop, begin)
            self._way(end, loop)
            self._way(loop, out)
            last = out
        else:
            out = self._graph.node()
            for _ in range(most - least):
                begin, end = fresh or self._read_again(origin, stop)
                fresh = None
                self._way(last, begin)
                self._way(last, out)
                last = end
            self._way(last, out)
            last = out
        self._at = rest
        return first, last

    def _read_again(self, origin: int, stop: int) -> _Piece:
        self._at = origin
        piece = self._atom()
        if self._at != stop:  # the same text gives the same piece
            self._refuse("it cannot be read")
        return piece

    def _way(self, begin: int, end: int) -> None:
        self._graph.ways[begin].append((_PLAIN, end))

    # -- reading ---------------------------------------------------------------------------

    def _take(self, char: str) -> bool:
        if self._text.startswith(char, self._at):
            self._at += len(char)
            return True
        return False

    def _refuse(self, why: str) -> NoReturn:
        msg = f"a pattern expected that can be searched in linear time: {why} (at character {self._at})"
        raise ValueError(msg)

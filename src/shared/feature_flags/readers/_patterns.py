"""Regular expressions of other services: RE2 (Unleash) and JavaScript (GrowthBook).

Both are read by one parser into the automaton that answers in bounded time. What an
automaton cannot say is refused: references back, look-around, Unicode classes. A refused
pattern matches nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal, TypeAlias

from shared.feature_flags.readers._automaton import Atom, PatternError, Place, Program

Dialect: TypeAlias = Literal["re2", "js"]
Matcher: TypeAlias = Callable[[str], bool]
# A part of a pattern: from the state that follows to the state it begins with.
Part: TypeAlias = Callable[[int], int]

_POSIX: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7f",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_LONGEST: Final = 1_000
_MOST_REPEATS: Final = 1_000
_DEEPEST: Final = 50
_FLAGS: Final = re.compile(r"\(\?([ims]*)(?:-([ims]+))?([:)])")
_NAMED: Final = re.compile(r"\(\?P?<[A-Za-z_]\w*>", re.ASCII)
_COUNTS: Final = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}", re.ASCII)
_CODE: Final = re.compile(
    r"\\(?:x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\})"
)
_CLASSES: Final = frozenset("dDwWsS")
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool
    multiline: bool = False
    dotall: bool = False


def compile_pattern(text: str, dialect: Dialect, *, ignore_case: bool = False) -> Matcher | None:
    """Return the test whether a text contains a match of the pattern, or ``None`` for a refused one."""
    if len(text) > _LONGEST:
        return None
    program = Program()
    try:
        part = _Parser(text, program, re2=dialect == "re2").parse(_Flags(fold=ignore_case))
        return program.matcher(part(program.accept))
    except (PatternError, re.error, OverflowError, RecursionError):
        return None


class _Parser:
    """Reads one pattern, from the left."""

    def __init__(self, text: str, program: Program, *, re2: bool) -> None:
        self._text = text
        self._at = 0
        self._program = program
        self._re2 = re2
        self._depth = 0

    def parse(self, flags: _Flags) -> Part:
        """Return the whole pattern."""
        part = self._alternatives(flags)
        if self._at < len(self._text):  # a bracket that nothing opened
            raise PatternError
        return part

    def _peek(self, size: int = 1) -> str:
        return self._text[self._at : self._at + size]

    def _alternatives(self, flags: _Flags) -> Part:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise PatternError
        ways: list[Part] = []
        while True:
            part, flags = self._sequence(flags)
            ways.append(part)
            if self._peek() != "|":
                break
            self._at += 1
        self._depth -= 1
        if len(ways) == 1:
            return ways[0]
        return lambda then: self._program.either([way(then) for way in ways])

    def _sequence(self, flags: _Flags) -> tuple[Part, _Flags]:
        """Return parts one after the other, and the flags in force behind them."""
        parts: list[Part] = []
        while self._peek() not in {"", "|", ")"}:
            found = _FLAGS.match(self._text, self._at) if self._re2 else None
            if found is not None and found[3] == ")":
                self._at = found.end()
                flags = _changed(flags, found[1], found[2])
                continue
            parts.append(self._repeated(self._one(flags)))

        def sequence(then: int) -> int:
            for part in reversed(parts):
                then = part(then)
            return then

        return sequence, flags

    def _one(self, flags: _Flags) -> Part:
        char = self._peek()
        if char == "(":
            return self._group(flags)
        if char in {"*", "+", "?"}:
            raise PatternError
        if char == "\\":
            return self._escape(flags)
        if char == "[":
            return self._take(self._set(), flags)
        self._at += 1
        if char == ".":
            return self._take(
                "." if flags.dotall else "[^\\n]" if self._re2 else "[^\\n\\r\u2028\u2029]", flags
            )
        if char == "^":
            return self._hold("line_begin" if flags.multiline else "begin")
        if char == "$":
            return self._hold("line_end" if flags.multiline else "end")
        return self._take(re.escape(char), flags)

    def _take(self, source: str, flags: _Flags) -> Part:
        return partial(self._program.take, _atom(source, fold=flags.fold))

    def _hold(self, place: Place) -> Part:
        return partial(self._program.hold, place)

    def _group(self, flags: _Flags) -> Part:
        named, flagged = _NAMED.match(self._text, self._at), _FLAGS.match(self._text, self._at)
        if named is not None:
            self._at = named.end()
        elif flagged is not None and (self._re2 or flagged[0] == "(?:"):
            self._at = flagged.end()
            flags = _changed(flags, flagged[1], flagged[2])
        elif self._peek(2) == "(?":
            raise PatternError  # look-around, or nothing either dialect knows
        else:
            self._at += 1
        part = self._alternatives(flags)
        if self._peek() != ")":
            raise PatternError
        self._at += 1
        return part

    def _repeated(self, part: Part) -> Part:
        char = self._peek()
        if char and char in "*+?":
            self._at += 1
            least, most = (1 if char == "+" else 0), (1 if char == "?" else None)
        else:
            counts = _COUNTS.match(self._text, self._at)
            if counts is None:
                return part
            self._at = counts.end()
            least = int(counts[1])
            most = least if counts[2] is None else int(counts[3]) if counts[3] else None
        if self._peek() == "?":  # not greedy: it changes what is matched, not whether something is
            self._at += 1
        if self._peek() and self._peek() in "*+?":
            raise PatternError
        if least > _MOST_REPEATS or (most is not None and not least <= most <= _MOST_REPEATS):
            raise PatternError
        return partial(self._copies, part, least, most)

    def _copies(self, part: Part, least: int, most: int | None, then: int) -> int:
        program = self._program
        if most is None:
            state, ways = program.loop(part)
            ways.append(then)
            then = state
        else:
            end = then
            for _ in range(most - least):
                then = program.either([part(then), end])
        for _ in range(least):
            then = part(then)
        return then

    def _escape(self, flags: _Flags) -> Part:
        code = self._code()
        if code is not None:
            return self._take(re.escape(code), flags)
        char = self._peek(2)[1:]
        self._at += 2
        if char in {"b", "B"}:
            return self._hold("word" if char == "b" else "not_word")
        if char in _CLASSES:
            return self._take(f"\\{char}", flags)
        if self._re2 and char in {"A", "z"}:
            return self._hold("begin" if char == "A" else "end")
        if self._re2 and char == "Q":
            return self._quoted(flags)
        return self._take(re.escape(_literal(char, re2=self._re2)), flags)

    def _quoted(self, flags: _Flags) -> Part:
        """Read on as if each character up to the end of the quote were escaped."""
        end = self._text.find("\\E", self._at)
        quoted = self._text[self._at : end if end >= 0 else len(self._text)]
        rest = self._text[self._at + len(quoted) + 2 :]
        self._text = f"{self._text[: self._at]}{re.escape(quoted)}{rest}"
        return self._one(flags) if quoted else lambda then: then

    def _code(self) -> str | None:
        found = _CODE.match(self._text, self._at)
        if found is None:
            return None
        number = int(next(group for group in found.groups() if group), 16)
        self._at = found.end()
        return chr(number)

    def _set(self) -> str:
        """Return a character class in the spelling of Python, each literal in it escaped."""
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        pieces: list[str] = []
        while self._peek() != "]" or (self._re2 and not pieces):
            pieces.append(self._set_piece())
        self._at += 1
        if not pieces:  # JavaScript: no character, and any character
            return "." if negated else "[^\\s\\S]"
        return f"[{'^' if negated else ''}{''.join(pieces)}]"

    def _set_piece(self) -> str:
        char = self._peek()
        if not char:
            raise PatternError
        if self._re2 and self._peek(2) == "[:":
            end = self._text.find(":]", self._at)
            name = self._text[self._at + 2 : end] if end > 0 else ""
            self._at = end + 2
            if name not in _POSIX:
                raise PatternError
            return _POSIX[name]
        if char != "\\":
            self._at += 1
            return char if char == "-" else re.escape(char)
        code = self._code()
        if code is not None:
            return re.escape(code)
        following = self._peek(2)[1:]
        self._at += 2
        if following in _CLASSES and following:
            return f"\\{following}"
        if following == "b" and not self._re2:
            return "\\x08"
        return re.escape(_literal(following, re2=self._re2))


def _literal(char: str, *, re2: bool) -> str:
    """Return what an escaped character stands for; a letter or a digit that means more is refused."""
    if char in _CONTROLS and (char != "a" or re2):
        return _CONTROLS[char]
    if not char or (char.isascii() and char.isalnum()):
        raise PatternError
    return char


def _changed(flags: _Flags, on: str, off: str | None) -> _Flags:
    for letters, value in ((on, True), (off or "", False)):
        for letter, name in (("i", "fold"), ("m", "multiline"), ("s", "dotall")):
            if letter in letters:
                flags = replace(flags, **{name: value})
    return flags


def _atom(source: str, *, fold: bool) -> Atom:
    """Return the test of one character."""
    # \d, \w and \s are of ASCII in both dialects; case is that of Unicode where it is ignored.
    if fold and not source.startswith(("\\", "[")):
        found = re.compile(source, re.DOTALL | re.IGNORECASE).match
    else:
        found = re.compile(source, re.DOTALL | re.ASCII | (re.IGNORECASE if fold else 0)).match
    known: dict[str, bool] = {}

    def atom(char: str) -> bool:
        verdict = known.get(char)
        if verdict is None:
            if len(known) > 1_000:
                known.clear()
            verdict = known[char] = found(char) is not None
        return verdict

    return atom

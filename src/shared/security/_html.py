"""HTML from people: what is allowed stays, the rest goes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Final

from shared.errors import ConfigurationError, MissingDependencyError, ValidationError

__all__ = ["HtmlPolicy", "sanitize_html"]

_MAX_LENGTH: Final = 1_048_576
# Sum of the nesting depth over all tags. Parsers of HTML need time and memory in
# proportion to it: 100 000 nested <div> keep one busy for minutes.
_MAX_NESTING: Final = 500_000
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
# Elements without content, and those that the next of their kind ends by itself.
_FLAT: Final = frozenset(
    {"area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option",
     "p", "param", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr"}
)  # fmt: skip
_ACTIVE_TAGS: Final = frozenset(
    {"applet", "base", "button", "embed", "form", "frame", "frameset", "iframe", "input", "link", "math",
     "meta", "noembed", "noframes", "noscript", "object", "option", "plaintext", "script", "select",
     "style", "svg", "template", "textarea", "title", "xmp"}
)  # fmt: skip
# Scripts, styles, forms; names that shadow those of the page's own scripts; and what
# the sanitiser sets itself.
_ACTIVE_ATTRIBUTES: Final = frozenset(
    {
        "action",
        "background",
        "formaction",
        "id",
        "name",
        "ping",
        "rel",
        "srcdoc",
        "style",
        "target",
        "xlink:href",
    }
)
_ACTIVE_SCHEMES: Final = frozenset({"blob", "data", "file", "javascript", "vbscript"})
_WORD: Final = re.compile(r"[a-z][a-z0-9:+.-]*\Z").match
_INLINE: Final = frozenset(
    {"a", "abbr", "b", "blockquote", "br", "code", "del", "em", "i", "ins", "kbd", "li", "ol", "p", "pre",
     "q", "s", "small", "strong", "sub", "sup", "u", "ul"}
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class HtmlPolicy:
    """What :func:`sanitize_html` lets through.

    Presets: :attr:`text` (nothing but text), :attr:`basic` (what a comment needs),
    :attr:`rich` (what an article needs: headings, tables, pictures too).

    Attributes:
        tags: Elements that stay, in lower case; of others only the content stays.
        attributes: Element, or ``"*"`` for all, to the attributes that stay.
        url_schemes: Schemes of links and pictures; relative URLs always stay.

    Raises:
        ConfigurationError: Something active is allowed: scripts, styles, frames, forms,
            event handlers, ``id`` and ``name`` (they can shadow the page's own), or
            schemes such as ``javascript`` and ``data``.

    Example:
        >>> HtmlPolicy(tags=["p", "span"], attributes={"span": ["class"]}).tags == {"p", "span"}
        True
    """

    text: ClassVar["HtmlPolicy"]
    basic: ClassVar["HtmlPolicy"]
    rich: ClassVar["HtmlPolicy"]

    tags: Iterable[str] = ()
    attributes: Mapping[str, Iterable[str]] = field(default_factory=dict)
    url_schemes: Iterable[str] = ("https", "http", "mailto")
    _arguments: dict[str, Any] = field(init=False, repr=False, compare=False)  # for nh3, made once

    def __post_init__(self) -> None:
        tags = _words("tag", self.tags, _ACTIVE_TAGS)
        schemes = _words("URL scheme", self.url_schemes, _ACTIVE_SCHEMES)
        attributes = {
            tag: _words(f"attribute of {tag!r}", names, _ACTIVE_ATTRIBUTES)
            for tag, names in self.attributes.items()
        }
        unknown = sorted(set(attributes) - tags - {"*"})
        if unknown:
            msg = f"attributes are allowed for {unknown[0]!r}, which is not among the tags"
            raise ConfigurationError(msg)
        handlers = [name for names in attributes.values() for name in names if name.startswith("on")]
        if handlers:
            msg = f"attribute {handlers[0]!r} is an event handler and must not be allowed"
            raise ConfigurationError(msg)
        # Frozen means unchangeable from outside; here the fields take their final form.
        object.__setattr__(self, "tags", tags)
        object.__setattr__(self, "attributes", MappingProxyType(attributes))
        object.__setattr__(self, "url_schemes", schemes)
        arguments = {
            "tags": set(tags),
            # Without an entry for "*" the library lets its own choice through.
            "attributes": {"*": set(), **{tag: set(names) for tag, names in attributes.items()}},
            "url_schemes": set(schemes),
            "strip_comments": True,
            "link_rel": "noopener noreferrer nofollow",
        }
        object.__setattr__(self, "_arguments", arguments)


def sanitize_html(html: str, policy: HtmlPolicy | None = None, *, max_length: int = _MAX_LENGTH) -> str:
    """Return *html* as a fragment that is safe to put into a page.

    Parsed as a browser does, by ``nh3``, and written anew; nothing is searched and
    replaced. Links get ``rel="noopener noreferrer nofollow"``. Text comes out escaped
    (``&lt;``), so the result is HTML even under :attr:`HtmlPolicy.text`.

    Args:
        html: From outside.
        policy: :attr:`HtmlPolicy.basic` when absent.
        max_length: Characters read.

    Raises:
        ValidationError: *html* is no text, too long, or nested so deeply that parsing
            it would take minutes.
        MissingDependencyError: ``nh3`` is not installed (extra ``html``).

    Example:
        >>> sanitize_html('<p onclick="x()">Hi <b>you</b><script>steal()</script></p>')
        '<p>Hi <b>you</b></p>'
        >>> sanitize_html("<b>1 < 2</b>", HtmlPolicy.text)
        '1 &lt; 2'
    """
    text: object = html  # what people send is not always what the annotation says
    if not isinstance(text, str):
        msg = f"HTML must be text, got {type(html).__name__}"
        raise ValidationError(msg)
    if len(html) > max_length:
        msg = f"HTML of {len(html)} characters, at most {max_length} are read"
        raise ValidationError(msg)
    if _nesting(html) > _MAX_NESTING:
        raise ValidationError("the HTML is nested too deeply")
    try:
        import nh3
    except ImportError as exc:
        raise MissingDependencyError("nh3", extra="html", cause=exc) from exc
    rules = policy or HtmlPolicy.basic
    try:
        return nh3.clean(
            html.encode("utf-8", "replace").decode(),  # lone surrogates cannot leave Python
            **rules._arguments,  # noqa: SLF001 - the two are one
        )
    except BaseException as exc:
        if (
            type(exc).__name__ != "PanicException"
        ):  # of Rust; not an Exception, and no reason to stop a worker
            raise
        raise ValidationError("the HTML cannot be parsed", cause=exc) from exc


def _nesting(html: str) -> int:
    """Return the sum of the depths at which tags stand; an estimate that misses no deep nesting."""
    opened: dict[str, int] = {}
    depth = total = 0
    for end, name in _TAG.findall(html):
        tag = name.lower()
        if tag not in _FLAT:
            if not end:
                opened[tag] = opened.get(tag, 0) + 1
                depth += 1
            elif opened.get(tag):  # else it ends nothing, and does not make the rest less deep
                opened[tag] -= 1
                depth -= 1
        total += depth
    return total


def _words(what: str, given: Iterable[str], active: frozenset[str]) -> frozenset[str]:
    words: frozenset[Any] = frozenset([given] if isinstance(given, str) else given)
    for word in sorted(words, key=repr):
        if not isinstance(word, str) or not _WORD(word):
            msg = f"{what} {word!r} must be a word in lower case"
            raise ConfigurationError(msg)
        if word in active:
            msg = f"{what} {word!r} is active content and must not be allowed"
            raise ConfigurationError(msg)
    return words


HtmlPolicy.text = HtmlPolicy()
HtmlPolicy.basic = HtmlPolicy(tags=_INLINE, attributes={"a": ["href", "title"], "abbr": ["title"]})
HtmlPolicy.rich = HtmlPolicy(
    tags=_INLINE
    | {"caption", "dd", "div", "dl", "dt", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6",
       "hr", "img", "span", "table", "tbody", "td", "tfoot", "th", "thead", "tr"},
    attributes={
        "a": ["href", "title"],
        "abbr": ["title"],
        "img": ["src", "alt", "width", "height"],
        "td": ["colspan", "rowspan"],
        "th": ["colspan", "rowspan", "scope"],
    },
)  # fmt: skip

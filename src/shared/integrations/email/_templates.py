"""Messages written from templates: text and HTML, in the reader's language."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.errors import EmailTemplateError, InvalidArgumentError, MissingDependencyError
from shared.integrations.email._message import EmailMessage

__all__ = ["EmailContent", "EmailTemplates"]

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*\Z")
# Source: RFC 5646, section 2.1, as far as people use it.
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}\Z")
_UNDEFINED: Final = re.compile(
    r"'[A-Za-z_][A-Za-z0-9_]*' is undefined\Z|has no attribute '[A-Za-z_][A-Za-z0-9_]*'\Z"
)
_PARTS: Final = ("subject.txt", "txt", "html")


@dataclass(frozen=True, slots=True)
class EmailContent:
    """What a template came to.

    Attributes:
        subject: One line.
        text: Plain text, or None.
        html: HTML, or None.
        locale: Language of the templates that were found; empty for those without one.

    Example:
        >>> EmailContent("Hello", "Hello Ada", None).to("ada@example.com").subject
        'Hello'
    """

    subject: str
    text: str | None = field(repr=False)
    html: str | None = field(repr=False)
    locale: str = ""

    def to(self, recipients: Any, **options: Any) -> EmailMessage:
        """Return the message with this content; *options* as of :class:`EmailMessage`."""
        return EmailMessage(recipients, self.subject, text=self.text, html=self.html, **options)


class EmailTemplates:
    """Writes messages from Jinja templates.

    A message ``welcome`` has up to three files: ``welcome.subject.txt`` (needed),
    ``welcome.txt`` and ``welcome.html`` (one of them needed). In German they are called
    ``welcome.de.subject.txt`` and so on. Asked for ``de-AT`` it looks for ``de-AT``,
    ``de``, the default locale, and the files without one; the first that has a subject
    gives all parts, so that no message is half in one language.

    In ``.html`` every value is escaped. Templates run in Jinja's sandbox. A value that
    was not given is an error, and nothing is sent. Needs the extra ``email``.

    Args:
        source: A folder, or a mapping of file names to texts.
        default_locale: Where a reader's own language is not to be had.
        values: Given to every template, such as the name of the shop.
        functions: Filters by name.

    Raises:
        MissingDependencyError: Jinja is not installed.
        InvalidArgumentError: *source* is not a folder or *default_locale* not a language.

    Example:
        >>> templates = EmailTemplates({
        ...     "welcome.subject.txt": "Welcome, {{ name }}",
        ...     "welcome.html": "<p>Welcome, {{ name }}</p>",
        ...     "welcome.de.subject.txt": "Willkommen, {{ name }}",
        ...     "welcome.de.html": "<p>Willkommen, {{ name }}</p>",
        ... })
        >>> templates.render("welcome", {"name": "<Ada>"}, locale="de-AT").html
        '<p>Willkommen, &lt;Ada&gt;</p>'
    """

    def __init__(
        self,
        source: str | Path | Mapping[str, str],
        *,
        default_locale: str = "en",
        values: Mapping[str, Any] | None = None,
        functions: Mapping[str, Any] | None = None,
    ) -> None:
        if not _LOCALE.match(default_locale):
            msg = f"default_locale is a language such as 'en' or 'de-AT', got {default_locale!r}"
            raise InvalidArgumentError(msg)
        self.default_locale = default_locale
        self._jinja = _environment(source, functions or {})
        self._values = dict(values or {})

    def render(
        self, name: str, values: Mapping[str, Any] | None = None, *, locale: str | None = None
    ) -> EmailContent:
        """Return the subject and the bodies of the message *name*.

        Args:
            name: Of the templates, such as ``"welcome"`` or ``"orders/receipt"``.
            values: For the templates; they win over those given to all.
            locale: The reader's language. What is not one counts as none given: it may
                come from a request.

        Raises:
            EmailTemplateError: A template is missing or malformed, a value was not
                given, or writing failed. The text names the template, never a value.
        """
        found, parts = self._parts(name, locale)
        given = {**self._values, **(values or {}), "locale": found or self.default_locale}
        written = {part: self._write(template, given) for part, template in parts.items()}
        subject = written["subject.txt"].strip()
        return EmailContent(subject, written.get("txt"), written.get("html"), found)

    def _parts(self, name: str, locale: str | None) -> tuple[str, dict[str, Any]]:
        if not _NAME.match(name):
            msg = f"a template is named by letters, digits, '_', '-' and '/', got {name[:100]!r}"
            raise EmailTemplateError(msg)
        tag = locale if locale is not None and _LOCALE.match(locale) else None
        return self._look(name, tag)

    def _look(self, name: str, locale: str | None) -> tuple[str, dict[str, Any]]:
        from jinja2 import TemplateNotFound

        for tag in _chain(locale, self.default_locale):
            middle = f".{tag}" if tag else ""
            parts = {}
            for part in _PARTS:
                try:
                    parts[part] = self._template(f"{name}{middle}.{part}")
                except TemplateNotFound:
                    continue
            if "subject.txt" not in parts:
                continue
            if len(parts) == 1:
                msg = f"template {name!r}: '{name}{middle}.txt' or '{name}{middle}.html' is missing"
                raise EmailTemplateError(msg)
            return tag, parts
        msg = f"template {name!r}: '{name}.subject.txt' is missing, also for a language"
        raise EmailTemplateError(msg, details={"template": name})

    def _template(self, file: str) -> Any:
        from jinja2 import TemplateNotFound, TemplateSyntaxError

        try:
            return self._jinja.get_template(file)
        except TemplateNotFound:
            raise
        except TemplateSyntaxError as exc:
            msg = f"template {exc.name or file!r}, line {exc.lineno}: not valid Jinja"
            raise EmailTemplateError(msg, details={"template": file}, cause=exc) from exc
        except (UnicodeError, OSError) as exc:
            msg = f"template {file!r} cannot be read: {type(exc).__name__}"
            raise EmailTemplateError(msg, details={"template": file}, cause=exc) from exc

    @staticmethod
    def _write(template: Any, values: Mapping[str, Any]) -> str:
        from jinja2 import UndefinedError

        try:
            return str(template.render(values))
        except UndefinedError as exc:
            # A name from the template is told; a key that is itself a value is not.
            told = _UNDEFINED.search(exc.message or "")
            msg = f"template {template.name!r}: {told[0] if told else 'a value was not given'}"
            raise EmailTemplateError(msg, details={"template": template.name}, cause=exc) from exc
        except Exception as exc:  # what the sandbox refuses, and what expressions raise
            msg = f"template {template.name!r} failed: {type(exc).__name__}"
            raise EmailTemplateError(msg, details={"template": template.name}, cause=exc) from exc


def _chain(locale: str | None, default: str) -> list[str]:
    """Return where to look: the language, the same without its region, the default, none."""
    tags: list[str] = []
    for each in (locale, default):
        parts = re.split("[-_]", each) if each else []
        tags += ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return [*dict.fromkeys(tags), ""]


def _environment(source: str | Path | Mapping[str, str], functions: Mapping[str, Any]) -> Any:
    try:
        from jinja2 import DictLoader, FileSystemLoader, StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as exc:
        raise MissingDependencyError("jinja2", extra="email") from exc
    loader: Any
    if isinstance(source, Mapping):
        loader = DictLoader(dict(source))
    else:
        folder = Path(source)
        if not folder.is_dir():
            msg = f"the folder of the e-mail templates does not exist: {str(source)!r}"
            raise InvalidArgumentError(msg)
        loader = FileSystemLoader(folder)
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        autoescape=lambda name: bool(name) and str(name).endswith(".html"),
        undefined=StrictUndefined,
        auto_reload=False,
        keep_trailing_newline=False,
    )
    environment.filters.update(functions)
    return environment

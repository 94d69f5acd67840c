"""The document as a page for people."""

import html
import json

from shared.api._errors import Reply

__all__ = ["docs_reply", "document_reply"]

# The policy "docs" of shared.security lets exactly these in.
_CDN = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{cdn}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{cdn}/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({{url: {url}, dom_id: "#swagger-ui", deepLinking: true}})
</script>
<noscript>This page needs JavaScript; the document itself is at <a href="{link}">{link}</a>.</noscript>
</body>
</html>
"""


def docs_reply(title: str, url: str) -> Reply:
    """Return the page that shows the document at *url*."""
    # "</script>" inside of a string would end the script.
    quoted = json.dumps(url).replace("<", "\\u003c")
    page = _PAGE.format(title=html.escape(title), cdn=_CDN, url=quoted, link=html.escape(url))
    return Reply(200, (("Content-Type", "text/html; charset=utf-8"),), page.encode())


def document_reply(body: bytes) -> Reply:
    """Return the document."""
    return Reply(200, (("Content-Type", "application/json"),), body)

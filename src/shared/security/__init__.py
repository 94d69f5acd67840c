"""Security primitives that know no user.

Masking and redaction, constant-time comparison, header policies, webhook
signatures, encryption of data at rest, CSRF, redirects, outbound URLs, HTML.
Standard library only, until a call encrypts (``cryptography``) or sanitises HTML
(``nh3``).

Example:
    >>> from shared.security import Redactor, mask_url
    >>> mask_url("redis://:hunter2@cache:6379/0")
    'redis://:***@cache:6379/0'
    >>> Redactor().redact({"api_key": "k-1", "max_tokens": 512})
    {'api_key': '***', 'max_tokens': 512}
"""

from shared.security._addresses import is_public_address
from shared.security._compare import constant_time_equals
from shared.security._cross_site import CrossSiteGuard
from shared.security._csrf import CsrfTokens
from shared.security._encryption import (
    blind_index,
    blind_index_candidates,
    decrypt,
    decrypt_text,
    encrypt,
    needs_reencryption,
    reencrypt,
)
from shared.security._encryption_keys import EncryptionKeys, new_encryption_key
from shared.security._headers import HeaderPolicy
from shared.security._html import HtmlPolicy, sanitize_html
from shared.security._masking import MASK, mask, mask_text, mask_url
from shared.security._names import is_secret_name
from shared.security._outbound import GuardedUrl, aguard_url, guard_url
from shared.security._redactor import Redactor
from shared.security._redirect import safe_redirect
from shared.security._replay import AsyncReplayStore, MemoryReplayStore, ReplayStore
from shared.security._signer import Signer
from shared.security._webhook import averify_webhook, sign_webhook, verify_hmac_signature, verify_webhook
from shared.security._webhook_event import VerifiedEvent
from shared.security._webhook_schemes import WebhookScheme

__all__ = [
    "MASK",
    "AsyncReplayStore",
    "CrossSiteGuard",
    "CsrfTokens",
    "EncryptionKeys",
    "GuardedUrl",
    "HeaderPolicy",
    "HtmlPolicy",
    "MemoryReplayStore",
    "Redactor",
    "ReplayStore",
    "Signer",
    "VerifiedEvent",
    "WebhookScheme",
    "aguard_url",
    "averify_webhook",
    "blind_index",
    "blind_index_candidates",
    "constant_time_equals",
    "decrypt",
    "decrypt_text",
    "encrypt",
    "guard_url",
    "is_public_address",
    "is_secret_name",
    "mask",
    "mask_text",
    "mask_url",
    "needs_reencryption",
    "new_encryption_key",
    "reencrypt",
    "safe_redirect",
    "sanitize_html",
    "sign_webhook",
    "verify_hmac_signature",
    "verify_webhook",
]

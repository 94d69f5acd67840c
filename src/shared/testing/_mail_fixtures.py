"""The fixture that shows what a service has mailed; the plugin brings it in."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shared.integrations.email import MemoryBackend
    from shared.runtime import Runtime

__all__ = ["shared_mail_outbox"]


@pytest.fixture
def shared_mail_outbox(shared_runtime: "Runtime") -> "MemoryBackend":
    """What the service has mailed in this test: ``.messages``, ``.last``, ``.to(address)``.

    ``send_email``, ``get_mailer()`` and ``get_async_mailer()`` deliver into it, whatever
    the settings name.

    Example:
        >>> def test_a_receipt_is_sent(shared_mail_outbox):
        ...     place_order("ada@example.com")
        ...     assert shared_mail_outbox.to("ada@example.com")[0].category == "receipt"
    """
    from shared.integrations.email import MemoryBackend
    from shared.integrations.email._accessors import use_backend

    backend = MemoryBackend()
    use_backend(backend, shared_runtime)
    return backend

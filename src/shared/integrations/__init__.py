"""What a service talks to outside of itself: one public module per supplier.

Import the supplier's module, such as :mod:`shared.integrations.openai`: the room itself
exports nothing, so that nobody pays for a supplier that is not used.
"""

__all__: list[str] = []

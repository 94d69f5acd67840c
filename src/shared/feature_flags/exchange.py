"""From other services to our own form, and out of it again.

An import says exactly what the foreign document says, or leaves the flag out and tells;
only who falls into which share of a rollout changes, since our hash is another. Where that
matters, keep the reader of the format as a source (:mod:`shared.feature_flags.readers`).
Our own form goes in and out by :meth:`FlagDocument.from_dict` and
:meth:`FlagDocument.to_dict`.
"""

from shared.feature_flags._exchange import Imported
from shared.feature_flags._exchange_flagd import import_flagd
from shared.feature_flags._exchange_growthbook import import_growthbook
from shared.feature_flags._exchange_unleash import import_unleash

__all__ = ["Imported", "import_flagd", "import_growthbook", "import_unleash"]

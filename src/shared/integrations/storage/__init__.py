"""Objects under keys: in memory, in a directory, in S3 or in Google Cloud Storage.

One behaviour whatever keeps them, chosen by ``STORAGE_URL``; S3 and Google need the extra
``s3`` or ``gcs``, the work on images the extra ``images``.
"""

from shared.integrations.storage._accessors import get_storage, storage_from_settings, storage_from_url
from shared.integrations.storage._content_type import sniff_content_type
from shared.integrations.storage._core import PutOptionValues
from shared.integrations.storage._download import AsyncDownload, Download
from shared.integrations.storage._images import (
    ImageOptimizer,
    ImageOptionValues,
    OptimizedImage,
    optimize_image,
)
from shared.integrations.storage._keys import check_key, check_prefix, safe_key
from shared.integrations.storage._model import ObjectPage, ObjectSummary, StoredObject
from shared.integrations.storage._options import StorageOptions, StorageOptionValues
from shared.integrations.storage._storage import Storage
from shared.integrations.storage._storage_async import AsyncStorage

__all__ = [
    "AsyncDownload",
    "AsyncStorage",
    "Download",
    "ImageOptimizer",
    "ImageOptionValues",
    "ObjectPage",
    "ObjectSummary",
    "OptimizedImage",
    "PutOptionValues",
    "Storage",
    "StorageOptionValues",
    "StorageOptions",
    "StoredObject",
    "check_key",
    "check_prefix",
    "get_storage",
    "optimize_image",
    "safe_key",
    "sniff_content_type",
    "storage_from_settings",
    "storage_from_url",
]

"""Images made smaller and clean before they are stored."""

import asyncio
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, Unpack

from shared.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from shared.runtime import after_fork_in_child

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ImageOptimizer", "ImageOptionValues", "OptimizedImage", "optimize_image"]

ImageFormat = Literal["AVIF", "GIF", "JPEG", "PNG", "WEBP"]
_TYPES: Final = {
    "AVIF": "image/avif",
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}
_WITH_ALPHA: Final = frozenset({"AVIF", "PNG", "WEBP"})


class ImageOptionValues(TypedDict, total=False):
    """The options of :func:`optimize_image`; see :class:`ImageOptimizer`.

    Example:
        >>> options: ImageOptionValues = {"max_width": 800, "output": "WEBP"}
    """

    max_width: int
    max_height: int
    output: ImageFormat | None
    quality: int
    formats: Sequence[ImageFormat]
    max_pixels: int
    max_bytes: int
    background: str
    max_concurrency: int


@dataclass(frozen=True, slots=True)
class OptimizedImage:
    """An image as it is to be stored.

    Attributes:
        data: The file.
        content_type: Its media type.
        width: Pixels.
        height: Pixels.

    Example:
        >>> OptimizedImage(b"...", "image/png", 1, 1).content_type
        'image/png'
    """

    data: bytes
    content_type: str
    width: int
    height: int


class ImageOptimizer:
    """Makes images fit, turns them upright, and writes them anew without what was hidden in them.

    The output has pixels and nothing else: no position, camera, thumbnail, comment, colour
    profile (the colours are brought to sRGB) or second image. An animation becomes its
    first frame. An image is never enlarged. What it unpacks to is looked up before it is
    unpacked, and no more than *max_concurrency* are worked on at the same time, so memory
    stays below about ``16 * max_pixels * max_concurrency`` bytes. Thread-safe.

    Args:
        max_width: Pixels; the proportions are kept.
        max_height: Pixels.
        output: Format written; that of the input when None.
        quality: Of AVIF, JPEG and WebP, 1 to 95.
        formats: Formats read.
        max_pixels: Largest width times height that is unpacked.
        max_bytes: Largest file that is read.
        background: Colour beneath what is transparent where the output has no transparency.
        max_concurrency: Images worked on at once.

    Raises:
        InvalidArgumentError: An option is out of range.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (4000, 3000), "navy").save(file, "JPEG")
        >>> small = ImageOptimizer(max_width=800, max_height=800, output="WEBP").optimize(file.getvalue())
        >>> small.width, small.height, small.content_type
        (800, 600, 'image/webp')
    """

    def __init__(
        self,
        *,
        max_width: int = 2048,
        max_height: int = 2048,
        output: ImageFormat | None = None,
        quality: int = 82,
        formats: Sequence[ImageFormat] = ("JPEG", "PNG", "WEBP"),
        max_pixels: int = 50_000_000,
        max_bytes: int = 20_971_520,
        background: str = "white",
        max_concurrency: int = 2,
    ) -> None:
        given = {"max_width": max_width, "max_height": max_height, "max_pixels": max_pixels}
        given |= {"max_bytes": max_bytes, "max_concurrency": max_concurrency, "quality": quality}
        for name, value in given.items():
            if value < 1 or (name == "quality" and value > 95):
                msg = f"{name} must be at least 1{', at most 95' * (name == 'quality')}, got {value!r}"
                raise InvalidArgumentError(msg)
        unknown = sorted({*formats, *([output] if output else [])} - set(_TYPES))
        if unknown or not formats:
            msg = f"formats are of {', '.join(_TYPES)}, got {unknown or 'none'}"
            raise InvalidArgumentError(msg)
        self._box = (max_width, max_height)
        self._output = output
        self._quality = quality
        self._formats = tuple(formats)
        self._max_pixels = max_pixels
        self._max_bytes = max_bytes
        self._background = background
        self._most = max_concurrency
        self._slots = threading.BoundedSemaphore(max_concurrency)
        after_fork_in_child(self)

    def optimize(self, data: bytes) -> OptimizedImage:
        """Return the image in *data*, made to fit.

        Raises:
            UnsupportedMediaTypeError: It is no image of the formats, or is damaged; 415.
            PayloadTooLargeError: The file, or what it unpacks to, is too large; 413.
            MissingDependencyError: Pillow is not installed.

        Example:
            >>> ImageOptimizer().optimize(b"<svg onload='alert(1)'>")
            Traceback (most recent call last):
                ...
            shared.errors.UnsupportedMediaTypeError: this is no image of the formats JPEG, PNG, WEBP
        """
        if len(data) > self._max_bytes:
            msg = f"the image has {len(data)} bytes, at most {self._max_bytes} are read"
            raise PayloadTooLargeError(msg, details={"max_bytes": self._max_bytes})
        with self._slots:
            return self._optimized(data)

    async def aoptimize(self, data: bytes) -> OptimizedImage:
        """As :meth:`optimize`, in a thread: the event loop goes on.

        Example:
            >>> import asyncio, io
            >>> from PIL import Image
            >>> file = io.BytesIO()
            >>> Image.new("RGB", (10, 10)).save(file, "PNG")
            >>> asyncio.run(ImageOptimizer().aoptimize(file.getvalue())).width
            10
        """
        return await asyncio.to_thread(self.optimize, data)

    def _optimized(self, data: bytes) -> OptimizedImage:
        library = _pillow()
        kinds = (OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, MemoryError)
        try:
            image, kind = self._opened(library, data)
            try:
                image = self._fitted(library, image)
                output = self._output or kind
                return self._written(image, output)
            finally:
                image.close()
        except (library.DecompressionBombError, library.DecompressionBombWarning) as exc:
            raise self._bomb("far more than") from exc
        except (*kinds, ArithmeticError, LookupError, NotImplementedError, AttributeError) as exc:
            # The readers of formats meet damage in every way there is.
            msg = f"this is no image of the formats {', '.join(self._formats)}"
            raise UnsupportedMediaTypeError(msg) from exc

    def _opened(self, library: Any, data: bytes) -> "tuple[Image.Image, ImageFormat]":
        image = library.open(io.BytesIO(data), formats=self._formats)
        width, height = image.size
        if width * height > self._max_pixels:
            image.close()
            what = f"{width} x {height} is more than"
            raise self._bomb(what)
        return image, image.format

    def _bomb(self, what: str) -> PayloadTooLargeError:
        msg = f"the image unpacks to {what} {self._max_pixels} pixels"
        return PayloadTooLargeError(msg, details={"max_pixels": self._max_pixels})

    def _fitted(self, library: Any, image: "Image.Image") -> "Image.Image":
        from PIL import ImageOps

        if image.format == "JPEG":
            # Unpack at a half, a quarter or an eighth where that is enough. The longer side
            # counts for both, since the image may lie on its side.
            image.draft(None, (max(self._box),) * 2)
        image.load()
        image = _in_srgb(ImageOps.exif_transpose(image))
        image.thumbnail(self._box, library.Resampling.LANCZOS)
        return image

    def _written(self, image: "Image.Image", output: ImageFormat) -> OptimizedImage:
        if image.mode in ("RGBA", "LA", "PA") and output not in _WITH_ALPHA:
            image = self._on_background(image)
        elif image.mode not in ("RGB", "L", "RGBA"):
            image = image.convert("RGB")
        image.info = {}  # what the writers would take along: profiles, comments, positions
        options: dict[str, Any] = {"quality": self._quality}
        if output in ("JPEG", "PNG"):
            options["optimize"] = True
        file = io.BytesIO()
        image.save(file, output, **options)
        return OptimizedImage(file.getvalue(), _TYPES[output], *image.size)

    def _on_background(self, image: "Image.Image") -> "Image.Image":
        library = _pillow()
        beneath: Image.Image
        whole = image.convert("RGBA")
        beneath = library.new("RGB", whole.size, self._background)
        beneath.paste(whole, mask=whole.getchannel("A"))
        return beneath

    def after_fork(self) -> None:
        """Re-arm in a forked child."""
        self._slots = threading.BoundedSemaphore(self._most)


def optimize_image(data: bytes, **options: Unpack[ImageOptionValues]) -> OptimizedImage:
    """Return the image in *data*, made to fit; for many, keep an :class:`ImageOptimizer`.

    Args:
        data: The file.
        **options: Those of :class:`ImageOptimizer`.

    Raises:
        UnsupportedMediaTypeError: It is no image of the formats, or is damaged; 415.
        PayloadTooLargeError: The file, or what it unpacks to, is too large; 413.
        MissingDependencyError: Pillow is not installed.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (300, 100)).save(file, "PNG")
        >>> optimize_image(file.getvalue(), max_width=30).height
        10
    """
    return ImageOptimizer(**options).optimize(data)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as exc:
        raise MissingDependencyError("pillow", extra="images") from exc
    return Image


def _in_srgb(image: "Image.Image") -> "Image.Image":
    """Return *image* with one byte per channel, in the colours that everybody assumes."""
    profile = image.info.get("icc_profile")
    if image.mode in ("P", "1", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    elif image.mode in ("RGB", "L") and "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode not in ("RGB", "RGBA", "L", "LA", "CMYK"):
        image = image.convert("L" if image.mode.startswith(("I", "F")) else "RGB")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        image = _converted(image, profile)
    return image.convert("RGB") if image.mode == "CMYK" else image


def _converted(image: "Image.Image", profile: bytes) -> "Image.Image":
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGB" if image.mode == "CMYK" else image.mode
        found = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a damaged profile: the pixels are fine
        return image
    return image if found is None else found

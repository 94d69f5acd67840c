"""The jobs that options ask for."""

from shared.api._jobs import Job
from shared.api._options import LayerOptions

__all__ = ["built_in_jobs"]


def built_in_jobs(options: LayerOptions) -> list[Job]:
    """Return the layer's own jobs in the order in which they decide: preflights before all others."""
    found: list[Job] = []
    if options.cors is not None:
        from shared.api._cors import CorsJob

        found.append(CorsJob(options.cors))
    if options.csrf is not None:
        from shared.api._csrf import CsrfJob

        found.append(CsrfJob(options.csrf))
    if options.content_types is not None:
        from shared.api._content import ContentJob

        found.append(ContentJob(options.content_types))
    return found

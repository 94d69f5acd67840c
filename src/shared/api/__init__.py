"""The face of a service: envelopes, errors, and the one layer around every request.

The room is free of frameworks; :mod:`shared.api.fastapi`, :mod:`shared.api.starlette`
and :mod:`shared.api.flask` put it into applications, :mod:`shared.api.asgi` and
:mod:`shared.api.wsgi` around any other.
"""

from shared.api._accept import prefers_problem
from shared.api._auth_job import AuthenticationJob
from shared.api._conditional import NotModified, check_preconditions, entity_tag
from shared.api._deprecation import Deprecation, DeprecationNoted, deprecated
from shared.api._documented import documented
from shared.api._envelope import Success, error_bytes, error_response, success_bytes, success_response
from shared.api._errors import ErrorRenderer, Reply, problem_details
from shared.api._exchange import UNMATCHED, Exchange, Outcome, RequestFinished
from shared.api._filters import Filter
from shared.api._guide import migration_guide
from shared.api._idempotency import Idempotency, IdempotentRequest, idempotent_request
from shared.api._idempotency_sql import DatabaseReplays
from shared.api._jobs import AccessSink, InFlight, Job, ResponseHeaders
from shared.api._limit_keys import ClientAddress
from shared.api._limit_policy import LimitPolicy
from shared.api._limit_rule import RateLimitRule, rate_limit
from shared.api._limits import RateLimits, RequestLimited
from shared.api._listing import Listing
from shared.api._models import Envelope, ErrorBody, ErrorEnvelope, Problem
from shared.api._options import LayerOptions
from shared.api._page_request import PageRequest
from shared.api._pipeline import Pipeline
from shared.api._policies import CorsPolicy, CsrfPolicy
from shared.api._stored import DownloadPlan, StoredRepresentation, plan_download
from shared.api._validation import load_model, validation_error
from shared.api._versions import ApiVersion, VersionChange, Versions

__all__ = [
    "UNMATCHED",
    "AccessSink",
    "ApiVersion",
    "AuthenticationJob",
    "ClientAddress",
    "CorsPolicy",
    "CsrfPolicy",
    "DatabaseReplays",
    "Deprecation",
    "DeprecationNoted",
    "DownloadPlan",
    "Envelope",
    "ErrorBody",
    "ErrorEnvelope",
    "ErrorRenderer",
    "Exchange",
    "Filter",
    "Idempotency",
    "IdempotentRequest",
    "InFlight",
    "Job",
    "LayerOptions",
    "LimitPolicy",
    "Listing",
    "NotModified",
    "Outcome",
    "PageRequest",
    "Pipeline",
    "Problem",
    "RateLimitRule",
    "RateLimits",
    "Reply",
    "RequestFinished",
    "RequestLimited",
    "ResponseHeaders",
    "StoredRepresentation",
    "Success",
    "VersionChange",
    "Versions",
    "check_preconditions",
    "deprecated",
    "documented",
    "entity_tag",
    "error_bytes",
    "error_response",
    "idempotent_request",
    "load_model",
    "migration_guide",
    "plan_download",
    "prefers_problem",
    "problem_details",
    "rate_limit",
    "success_bytes",
    "success_response",
    "validation_error",
]

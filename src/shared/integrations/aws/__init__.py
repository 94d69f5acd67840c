"""Amazon's services with the region, the credentials and the limits of the settings (extra ``aws``)."""

from shared.integrations.aws._client import aws_client, aws_errors

__all__ = ["aws_client", "aws_errors"]

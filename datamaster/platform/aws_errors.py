"""Errors of AWS calls in words, with the next step."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes for credentials that AWS does not take, or no longer:
https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html"""
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "KMS.AccessDeniedException")
RENEW = "Next: renew them, for example aws sso login, and try again"


def code_of(error: Exception) -> str:
    """The code of AWS's answer. Empty if there was none."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def out_of_reach(error: Exception) -> str | None:
    """One line for an error after which AWS cannot be used from here. None for any other error."""
    code = code_of(error)
    if code in EXPIRED:
        return f"AWS refuses these credentials ({code}). {RENEW}"
    if code in DENIED:
        return f"AWS refuses this identity: {' '.join(str(error).split())}. Next: give it that right, as docs/deploy.md says for operators"
    if isinstance(error, BotoCoreError):
        return f"AWS cannot be reached: {error}. Next: look at network, credentials and region (aws sts get-caller-identity)"
    return None

"""Signs schemathesis's requests by the credentials of the environment, as API Gateway wants it."""

from pathlib import Path

import boto3
import schemathesis
import schemathesis_hooks  # type: ignore[import-not-found]  # noqa: F401 - registers its hooks
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from requests.auth import AuthBase


class Signature(AuthBase):
    """Signature Version 4 over the whole request as it is sent."""

    def __call__(self, request):
        session = boto3.Session()
        signed = AWSRequest(request.method, request.url, data=request.body)
        SigV4Auth(session.get_credentials().get_frozen_credentials(), "execute-api", session.region_name).add_auth(signed)
        request.headers.update(dict(signed.headers))
        return request


schemathesis.auth.set_from_requests(Signature())  # type: ignore[attr-defined]


@schemathesis.hook
def after_call(context, case, response):
    """Note each answer's status, for the test to see that requests got through."""
    with Path("statuses").open("a") as file:
        file.write(f"{response.status_code}\n")

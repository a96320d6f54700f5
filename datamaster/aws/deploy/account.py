"""The AWS account that this process's credentials belong to."""

from __future__ import annotations

import os
from dataclasses import dataclass

import boto3
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError, ProfileNotFound

from datamaster.aws.deploy.environments import Environment
from lake.errors import TerminalError, TransientError

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


class NoAccount(TransientError):
    """AWS does not answer, or it rejects the credentials."""


class WrongPlace(TerminalError):
    """The credentials or the region differ from those in the environment's file."""


@dataclass(frozen=True)
class Account:
    """``number`` is the account's id, ``identity`` the caller's ARN."""

    number: str
    identity: str


def connect(environment: Environment) -> Account:
    """Point this process at the environment's region and ask AWS for the caller's identity.

    Raises ``WrongPlace`` and ``NoAccount``. Each names the next step.
    """
    region, file = environment.region, f"environments/{environment.name}.yaml"
    regions = botocore.session.get_session().get_available_regions("cloudformation")
    if region not in regions:
        raise WrongPlace(f'{file}: "{region}" is no AWS region; one of {", ".join(sorted(regions))}')
    for name in REGION_VARIABLES:
        if os.environ.get(name, region) != region:
            raise WrongPlace(f"{name} is {os.environ[name]}, but {file} says {region}. Next: unset {name}, or change the file")
    os.environ.update(dict.fromkeys(REGION_VARIABLES, region))
    account = _caller()
    wanted = environment.variables.get("account")
    if wanted and str(wanted) != account.number:
        raise WrongPlace(
            f"these credentials are for account {account.number}, but {file} says {wanted}. Next: take other credentials (AWS_PROFILE)"
        )
    return account


def _caller() -> Account:
    try:
        caller = boto3.Session().client("sts").get_caller_identity()  # a new session: the default one caches its credentials
    except (NoCredentialsError, ProfileNotFound, NoRegionError) as error:
        raise NoAccount(f"no AWS credentials: {error}. Next: aws configure, aws sso login, or set AWS_PROFILE; then again") from error
    except EndpointConnectionError as error:
        raise NoAccount(f"AWS does not answer: {error}. Next: look at the network, and at AWS_ENDPOINT_URL if it is set") from error
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise NoAccount(f"AWS refuses these credentials ({code}). Next: renew them, for example aws sso login, and try again") from error
    except BotoCoreError as error:
        raise NoAccount(f"AWS credentials cannot be used: {error}. Next: aws sso login, or set AWS_PROFILE; then again") from error
    return Account(caller["Account"], caller["Arn"])

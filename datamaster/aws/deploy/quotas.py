"""The deployment's needs against the account's quotas: Lambda concurrency, vCPUs of Fargate and EMR Serverless, partitions of Firehose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.gaps import Asking, Gap
from datamaster.aws.deploy.package import APPS
from datamaster.aws.deploy.spark_submit import cores_at_once
from datamaster.project import PROJECT

UNRESERVED = 100
"""Executions that AWS keeps for functions without a reservation:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""
CONCURRENCY_CODE = "L-B99A9384"


@dataclass(frozen=True)
class Quota:
    """A quota by its names in Service Quotas."""

    service: str
    name: str

    def of(self, client: Any) -> tuple[float, str]:
        """Its value in this account (AWS's default if it was never changed), and its code."""
        for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
            for page in client.get_paginator(operation).paginate(ServiceCode=self.service):
                for quota in page["Quotas"]:
                    if quota["QuotaName"] == self.name:
                        return float(quota["Value"]), str(quota["QuotaCode"])
        raise LookupError(f'Service Quotas has no "{self.name}" of {self.service}')


def increase(service: str, code: str, value: float) -> str:
    """The command that requests an increase."""
    return f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} --desired-value {value:.0f}"


def reserved(environment: Environment, app: str) -> int:
    """Executions that an app's functions reserve."""
    template = Template(PROJECT / "templates" / f"functions-{app}.merge.yaml")
    return sum(map(int, template.document["Mappings"]["Concurrency"][environment.name].values()))


def concurrency(asking: Asking) -> Iterator[Gap]:
    """A gap if the functions reserve more than the account's concurrency, which is 10 in some new accounts."""
    wanted = sum(reserved(asking.environment, app) for app in APPS if app in asking.stacks - asking.there)
    limits = asking.client("lambda").get_account_settings()["AccountLimit"]
    free = limits["UnreservedConcurrentExecutions"] - UNRESERVED
    if wanted > free:
        needed = limits["ConcurrentExecutions"] + wanted - free
        yield Gap(
            f"Lambda: the functions reserve {wanted} executions at once, and of the {limits['ConcurrentExecutions']} of this account "
            f"{max(0, free)} can be reserved",
            increase("lambda", CONCURRENCY_CODE, max(1000, needed)),
            blocks=True,
        )


def containers(asking: Asking) -> Iterator[Gap]:
    """A gap if one large container needs more vCPUs than Fargate's quota."""
    kind = "Spot" if asking.environment.variables["spot_containers"] else "On-Demand"
    wanted = int(Template(PROJECT / "templates" / "ingestion.yaml").parameters["LargeTaskCpu"]) / 1024
    yield from _too_small(
        asking, Quota("fargate", f"Fargate {kind} vCPU resource count"), wanted, "one container for a large file takes", "vCPU"
    )


def spark(asking: Asking) -> Iterator[Gap]:
    """A gap if the jobs that run at once need more vCPUs than EMR Serverless's quota. A job without vCPUs waits."""
    quota = Quota("emr-serverless", "Max concurrent vCPUs per account")
    jobs, executors = (int(asking.environment.variables[name]) for name in ("spark_jobs_at_once", "spark_executors"))
    yield from _too_small(asking, quota, cores_at_once(jobs, executors), "jobs that run at once take", "vCPU")


def partitions(asking: Asking) -> Iterator[Gap]:
    """A gap if there are more tables than partitions. Each table with buffered records is an active partition of the delivery stream."""
    tables = len(list(asking.environment.contracts.glob("*.yaml")))
    yield from _too_small(asking, Quota("firehose", "Dynamic partitions"), tables, "tables that change at once take", "partitions")


def _too_small(asking: Asking, quota: Quota, wanted: float, what: str, unit: str) -> Iterator[Gap]:
    value, code = quota.of(asking.client("service-quotas"))
    if value < wanted:
        told = f"{quota.service}: {what} {wanted:g} {unit}, and this account has {value:g} ({quota.name})"
        yield Gap(told, increase(quota.service, code, wanted))

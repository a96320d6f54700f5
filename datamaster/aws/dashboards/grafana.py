"""Push dashboards and data sources to a Grafana through its HTTP API. Only differences are written.

https://grafana.com/docs/grafana/latest/developers/http_api/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.exceptions import ClientError
from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException, GrafanaUnauthorizedError
from requests import RequestException

from datamaster.aws.dashboards.panels import ATHENA, CLOUDWATCH, Json
from lake.errors import TerminalError, TransientError

FOLDER_UID, FOLDER = "dm", "Data Master"
FORBIDDEN, NOT_FOUND = 403, 404
GRAFANAS_OWN = frozenset({"id", "version"})

T = TypeVar("T")


class GrafanaRefused(TerminalError):
    """Grafana refused a request. The message names the next step."""


class GrafanaUnreachable(TransientError):
    """Grafana does not answer, or it is out of order."""


class NoToken(TerminalError):
    """Secrets Manager holds no token for Grafana."""


@dataclass(frozen=True)
class GrafanaDrift:
    """A difference in Grafana: a folder, data source or dashboard is ``absent``, or the values at ``paths`` differ."""

    kind: str
    name: str
    absent: bool
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class DashboardScope:
    """The target of the dashboards: the environment, its region and account, and Athena's work group."""

    environment: str
    region: str
    account: str
    work_group: str

    def sources(self) -> list[Json]:
        """The dashboards' data sources. Grafana reads with its own role."""
        shared = {"authType": "default", "defaultRegion": self.region}
        athena = shared | {"catalog": "AwsDataCatalog", "database": "dm_gold", "workgroup": self.work_group}
        return [
            {**ATHENA, "name": "Data Master Athena", "access": "proxy", "jsonData": athena},
            {**CLOUDWATCH, "name": "Data Master CloudWatch", "access": "proxy", "jsonData": shared},
        ]

    def adapted(self, dashboard: Json) -> Json:
        """The dashboard with its fixed variables set to this place."""
        own = {"environment": self.environment, "region": self.region, "account": self.account}
        variables = [
            _set(variable, own[variable["name"]]) if variable["name"] in own else variable for variable in dashboard["templating"]["list"]
        ]
        return {**dashboard, "templating": {"list": variables}}


def token(secret: str) -> str:
    """The token in a secret, which is plain text or JSON with the member ``token``. Raises ``NoToken``."""
    command = f"aws secretsmanager put-secret-value --secret-id {secret} --secret-string <token>"
    try:
        text: str = boto3.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"].strip()
    except ClientError as error:
        raise NoToken(f'secret "{secret}" cannot be read: {error.response["Error"]["Message"]}; store a token with {command}') from error
    if text.startswith("{"):
        text = str(json.loads(text).get("token", ""))
    if not text:
        raise NoToken(f'secret "{secret}" holds no token; store one with {command}')
    return text


class Grafana:
    """A client of one Grafana. ``secret`` is the name of its token's secret, for messages."""

    def __init__(self, url: str, credential: str, secret: str) -> None:
        self.url, self.secret = url.rstrip("/"), secret
        self._api = GrafanaApi.from_url(self.url, credential, timeout=20)

    def diff(self, place: DashboardScope, dashboards: Mapping[str, Json]) -> list[GrafanaDrift]:
        """The changes that a push would write, in order. Raises ``GrafanaRefused``, ``GrafanaUnreachable``."""
        changes = [GrafanaDrift("folder", FOLDER, True)] if self._found(lambda: self._api.folder.get_folder(FOLDER_UID)) is None else []
        for source in place.sources():
            there = self._found(lambda source=source: self._api.datasource.get_datasource_by_uid(source["uid"]))  # type: ignore[misc]
            changes += _change("data source", source["name"], source, there)
        for wanted in self._wanted(place, dashboards):
            there = self._found(lambda wanted=wanted: self._api.dashboard.get_dashboard(wanted["uid"]))  # type: ignore[misc]
            changes += _change("dashboard", wanted["title"], wanted, there["dashboard"] if there else None)
        return changes

    def push(self, place: DashboardScope, dashboards: Mapping[str, Json]) -> list[GrafanaDrift]:
        """Write all differences and return them. Raises ``GrafanaRefused``, ``GrafanaUnreachable``."""
        changes = self.diff(place, dashboards)
        differing = {(change.kind, change.name): change.absent for change in changes}
        if ("folder", FOLDER) in differing:
            self._asked(lambda: self._api.folder.create_folder(FOLDER, FOLDER_UID))
        for source in place.sources():
            absent = differing.get(("data source", source["name"]))
            if absent:
                self._asked(lambda source=source: self._api.datasource.create_datasource(source))  # type: ignore[misc]
            elif absent is False:
                self._asked(lambda source=source: self._api.datasource.update_datasource_by_uid(source["uid"], source))  # type: ignore[misc]
        for wanted in self._wanted(place, dashboards):
            if ("dashboard", wanted["title"]) in differing:
                body = {"dashboard": wanted, "folderUid": FOLDER_UID, "overwrite": True, "message": "dm dashboards push"}
                self._asked(lambda body=body: self._api.dashboard.update_dashboard(body))  # type: ignore[misc]
        return changes

    def _wanted(self, place: DashboardScope, dashboards: Mapping[str, Json]) -> list[Json]:
        return [place.adapted(dashboard) for dashboard in dashboards.values()]

    def _found(self, call: Callable[[], T]) -> T | None:
        return self._asked(call, absent=True)

    def _asked(self, call: Callable[[], T], absent: bool = False) -> T | None:
        try:
            return call()
        except GrafanaUnauthorizedError as error:
            raise GrafanaRefused(
                f"{self.url} does not accept the token (expired or revoked); make a new one for a service account with the role Editor "
                f"and rights on data sources, then: aws secretsmanager put-secret-value --secret-id {self.secret} --secret-string <token>"
            ) from error
        except GrafanaClientError as error:
            if absent and error.status_code == NOT_FOUND:
                return None
            if error.status_code == FORBIDDEN:
                raise GrafanaRefused(
                    f"{self.url} knows the token but not its right to do this: {_told(error)}; give its service account the role Editor "
                    "and rights on data sources"
                ) from error
            raise GrafanaRefused(f"{self.url} refused: {_told(error)}") from error
        except GrafanaException as error:
            raise GrafanaUnreachable(f"{self.url} cannot work now: {_told(error)}") from error
        except RequestException as error:
            raise GrafanaUnreachable(f"{self.url} does not answer: {error}") from error


def _told(error: GrafanaException) -> str:
    """Grafana's own message, without the client's wrapping."""
    document = error.response
    return str(document["message"]) if isinstance(document, Mapping) and document.get("message") else str(error.message)


def _set(variable: Json, value: str) -> Json:
    option = {"text": value, "value": value}
    others = [{**known, "selected": False} for known in variable["options"] if known["value"] != value]
    options = [{**option, "selected": True}, *others]
    return {**variable, "current": option, "options": options, "query": ",".join(known["value"] for known in options)}


def _change(kind: str, name: str, wanted: Json, there: Any) -> list[GrafanaDrift]:
    if there is None:
        return [GrafanaDrift(kind, name, True)]
    paths = tuple(_differences(wanted, there, ""))
    return [GrafanaDrift(kind, name, False, paths)] if paths else []


def _differences(wanted: Any, there: Any, path: str) -> list[str]:
    """The paths at which ``there`` differs from ``wanted``. Members that only Grafana has do not count."""
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        names = [name for name in wanted if path or name not in GRAFANAS_OWN]
        return [found for name in names for found in _differences(wanted[name], there.get(name), f"{path}.{name}" if path else name)]
    if isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        return [found for place, each in enumerate(wanted) for found in _differences(each, there[place], f"{path}[{place}]")]
    return [] if wanted == there else [path]

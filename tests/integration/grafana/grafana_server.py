"""A stand-in for Grafana: the few calls of its HTTP API that a push makes, answered as Grafana 11 does. It draws nothing.

It refuses what Grafana refuses: bodies with fields that its published OpenAPI description does not have, uids longer than 40, names that
are taken, folders that are not there, older versions; and dashboards that Grafana's published model would not give back whole.

https://grafana.com/docs/grafana/v11.6/developers/http_api/, public/openapi3.json of grafana/grafana
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.unit.dashboards.grafana_model import lost_of_dashboard, lost_of_targets

FOLDER = {"uid", "title", "description", "parentUid"}
SOURCE = {"access", "basicAuth", "basicAuthUser", "database", "isDefault", "jsonData", "name", "secureJsonData", "type", "uid", "url"}
SOURCE |= {"user", "version", "withCredentials"}
DASHBOARD = {"dashboard", "folderId", "folderUid", "isFolder", "message", "overwrite", "userId"}
PLUGINS = {"cloudwatch", "grafana-athena-datasource"}
UID_LENGTH = 40


class Refused(Exception):
    """What Grafana answers instead."""

    def __init__(self, status, message, **more):
        super().__init__(message)
        self.status, self.document = status, {"message": message, **more}


class GrafanaServer:
    """Holds folders, data sources and dashboards by uid; ``writes`` counts what was changed, ``status`` answers every call with it."""

    def __init__(self, accepted):
        self.accepted, self.status, self.writes, self.refused = accepted, None, [], []
        self.folders, self.sources, self.dashboards = {}, {}, {}
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, method, path, body, authorization):
        """Status and document of one call."""
        if self.status:
            return self.status, {"message": "out of order"}
        if authorization != f"Bearer {self.accepted}":
            return 401, {"message": "Invalid API key"}
        try:
            document = self._done(method, path, body)
        except Refused as refusal:
            self.refused += [(path, str(refusal))] if method != "GET" else []
            return refusal.status, refusal.document
        if method != "GET":
            self.writes.append(path)
        return 200, document

    def _done(self, method, path, body):
        kinds = {"/api/folders/": self.folders, "/api/datasources/uid/": self.sources, "/api/dashboards/uid/": self.dashboards}
        for prefix, held in kinds.items():
            if path.startswith(prefix):
                uid = path.removeprefix(prefix)
                if uid not in held:
                    raise Refused(404, "not found")
                return held[uid] if method == "GET" else self._changed_source(uid, body)
        created = {"/api/folders": self._folder, "/api/datasources": self._source, "/api/dashboards/db": self._dashboard}
        if method != "POST" or path not in created:
            raise Refused(404, "Not found")
        return created[path](body)

    def _folder(self, body):
        _known(body, FOLDER, "title")
        if body["uid"] in self.folders:
            raise Refused(412, "a folder with that uid already exists", status="name-exists")
        self.folders[body["uid"]] = body
        return body

    def _source(self, body):
        _known(body, SOURCE, "name", "type", "access")
        if body["type"] not in PLUGINS:
            raise Refused(400, f"plugin {body['type']} is not installed")
        if any(body["name"] == held["name"] or body["uid"] == held["uid"] for held in self.sources.values()):
            raise Refused(409, "data source with the same name already exists")
        self.sources[body["uid"]] = body | {"id": len(self.sources) + 1, "version": 1, "readOnly": False}
        return {"message": "Datasource added"}

    def _changed_source(self, uid, body):
        """A PUT replaces the whole source."""
        _known(body, SOURCE, "name", "type", "access")
        held = self.sources[uid]
        if body.get("version", held["version"]) != held["version"]:
            raise Refused(409, "Datasource has already been updated by someone else")
        self.sources[uid] = body | {"id": held["id"], "version": held["version"] + 1, "readOnly": False}
        return {"message": "Datasource updated"}

    def _dashboard(self, body):
        _known(body, DASHBOARD, "dashboard")
        given, folder = body["dashboard"], body.get("folderUid", "")
        if not given.get("title"):
            raise Refused(400, "Dashboard title cannot be empty")
        if folder and folder not in self.folders:
            raise Refused(400, "folder not found")
        if lost := [*lost_of_dashboard(given), *lost_of_targets(given)]:
            raise Refused(400, f"bad dashboard: {lost[0]}")
        uid, held = given["uid"], self.dashboards.get(given["uid"])
        version = held["dashboard"]["version"] if held else 0
        if held and not body.get("overwrite") and given.get("version") != version:
            raise Refused(412, "The dashboard has been changed by someone else", status="version-mismatch")
        sources = {target["datasource"]["uid"] for panel in given["panels"] for target in panel.get("targets", ())}
        if absent := sources - set(self.sources):
            raise Refused(400, f"no data source {', '.join(sorted(absent))}")  # Grafana takes it, and shows panels without data
        stored = given | {"id": len(self.dashboards) + 1, "version": version + 1, "fiscalYearStartMonth": 0}
        self.dashboards[uid] = {"meta": {"folderUid": folder}, "dashboard": stored}
        return {"uid": uid, "status": "success", "version": version + 1}

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answered(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                status, document = server.answer(self.command, self.path, body, self.headers.get("Authorization"))
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = answered  # noqa: N815

            def log_message(self, *_):
                pass

        return Handler


def _known(body, fields, *required):
    if not isinstance(body, dict) or not set(body) <= fields:
        raise Refused(400, f"bad request data: unknown field {sorted(set(body) - fields)}")
    for name in required:
        if not body.get(name):
            raise Refused(400, f"bad request data: {name} is required")
    if len(body.get("uid", "")) > UID_LENGTH or len(body.get("dashboard", {}).get("uid", "")) > UID_LENGTH:
        raise Refused(400, "uid too long, max 40 characters")

"""A stand-in for Grafana: the few calls of its HTTP API that a push makes, answered as Grafana 11 does. It draws nothing."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class GrafanaServer:
    """Holds folders, data sources and dashboards by uid; ``writes`` counts what was changed, ``status`` answers every call with it."""

    def __init__(self, accepted):
        self.accepted, self.status, self.writes = accepted, None, []
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
        if method != "GET":
            self.writes.append(path)
        kinds = {"/api/folders/": self.folders, "/api/datasources/uid/": self.sources, "/api/dashboards/uid/": self.dashboards}
        for prefix, held in kinds.items():
            if path.startswith(prefix):
                return self._one(method, held, path.removeprefix(prefix), body)
        if path == "/api/folders":
            self.folders[body["uid"]] = body
            return 200, body
        if path == "/api/datasources":
            self.sources[body["uid"]] = body | {"id": len(self.sources) + 1, "version": 1, "readOnly": False}
            return 200, {"message": "Datasource added"}
        if path == "/api/dashboards/db":
            uid = body["dashboard"]["uid"]
            version = self.dashboards[uid]["dashboard"]["version"] + 1 if uid in self.dashboards else 1
            stored = body["dashboard"] | {"id": 7, "version": version, "fiscalYearStartMonth": 0}
            self.dashboards[uid] = {"meta": {"folderUid": body["folderUid"]}, "dashboard": stored}
            return 200, {"uid": uid, "status": "success", "version": version}
        return 404, {"message": "Not found"}

    def _one(self, method, held, uid, body):
        if uid not in held:
            return 404, {"message": "not found"}
        if method == "PUT":
            held[uid] = held[uid] | body
        return 200, held[uid]

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

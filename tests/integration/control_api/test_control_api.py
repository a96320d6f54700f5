"""What the API's callers see: files, another try, tables, health, and clear refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lake.control import Fence
from lake.control.target_items import TargetState

pytestmark = pytest.mark.integration


def ids(page):
    return [file["file_id"] for file in page["files"]]


class TestFiles:
    def test_files_come_newest_first_by_table_and_status(self, api, files):
        first, second, third = files.pending(), files.failed(), files.pending()
        assert ids(api("GET", f"/files?table={files.table}")) == [third, second, first]
        assert ids(api("GET", f"/files?table={files.table}&status=failed")) == [second]
        assert ids(api("GET", "/files?table=nothing")) == []

    def test_pages_hold_every_file_once(self, api, files):
        expected = [files.pending() for _ in range(7)][::-1]
        found, cursor, sizes = [], None, []
        while True:
            page = api("GET", f"/files?table={files.table}&limit=3" + (f"&cursor={cursor}" if cursor else ""))
            found += ids(page)
            sizes.append(len(page["files"]))
            cursor = page["cursor"]
            if cursor is None:
                break
        assert (found, sizes) == (expected, [3, 3, 1])

    def test_since_and_until_bound_the_time_of_arrival(self, api, files):
        key = files.pending()
        created = datetime.fromisoformat(files.control.files.get(key).created_at)
        hour = timedelta(hours=1)
        for since, until, expected in (
            (created - hour, created + hour, [key]),
            (created + hour, created + 2 * hour, []),
            (created - 2 * hour, created - hour, []),
        ):
            query = f"since={since:%Y-%m-%dT%H:%M:%SZ}&until={until:%Y-%m-%dT%H:%M:%SZ}"
            assert ids(api("GET", f"/files?table={files.table}&{query}")) == expected

    def test_one_file_has_every_field_but_the_lease_token(self, api, files):
        key = files.pending()
        files.control.files.start(key, "execution-1", 60)
        shown = api("GET", f"/files/{key}")
        assert (shown["file_id"], shown["status"], shown["execution_arn"], shown["records_read"]) == (key, "running", "execution-1", None)
        assert "lease_token" not in shown

    def test_an_unknown_file_is_not_found(self, api):
        assert 'no file "nope"' in api("GET", "/files/nope", 404)["detail"]
        assert 'no file "nope"' in api("POST", "/files/nope/retry", 404)["detail"]

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("status=done", 'parameter "status": got "done"; one of pending, running, bronze, silver, failed'),
            ("limit=0", 'parameter "limit": got "0"; a whole number from 1 to 200'),
            ("limit=many", 'parameter "limit": got "many"; a whole number from 1 to 200'),
            ("since=yesterday", 'parameter "since": got "yesterday"; an ISO 8601 time'),
            ("cursor=abc", 'parameter "cursor": got "abc"; the cursor of the page before'),
            ("limit=1000", 'parameter "limit": got "1000"; a whole number from 1 to 200'),
            ("limit=1e2", 'parameter "limit": got "1e2"'),
            ("limit=%C2%B2", 'parameter "limit": got "²"'),
            pytest.param("limit=" + "9" * 5000, 'parameter "limit": got "' + "9" * 80 + '… (5,000 characters)"', id="limit of 5,000 nines"),
            ("table=", 'parameter "table": got ""'),
            pytest.param("table=" + "a" * 3000, '(3,000 characters)"; a name of 1 to 255 characters', id="table of 3,000 letters"),
            ("since=2026-02-01&until=2026-01-01", 'parameter "since": got "2026-02-01"; a time that is not later than "until"'),
            ("status=failed&status=bronze", 'parameter "status": got "failed, bronze"; it is given 2 times; give it once'),
            ("limit=1&limit=5", 'parameter "limit": got "1, 5"; it is given 2 times'),
            ("state=failed", 'parameter "state": got "failed"; unknown here; one of cursor, limit, since, status, table, until'),
        ],
    )
    def test_a_wrong_parameter_is_named_with_what_is_valid(self, api, query, message):
        assert message in api("GET", f"/files?{query}", 400)["detail"]

    def test_a_cursor_of_another_make_is_refused(self, api):
        for made_up in ("zzzz~x", "2026-01-01T00:00:00.000000Z~" + "a" * 5000, "2026-01-01T00:00:00.000000Z~" + "a" * 32 + "%0A"):
            assert 'parameter "cursor"' in api("GET", f"/files?cursor={made_up}", 400)["detail"]

    @pytest.mark.parametrize(
        ("query", "holds_it"),
        [
            ("since=0001-01-01T00:00:00%2B14:00", True),
            ("until=0001-01-01T00:00:00%2B14:00", False),
            ("until=9999-12-31T23:59:59-01:00", True),
            ("since=9999-12-31T23:59:59-01:00", False),
            ("since=0999-01-01", True),
            ("until=0999-01-01", False),
            ("since=2024-01-01T00:00:00+02:00", True),
        ],
    )
    def test_every_time_of_the_years_1_to_9999_is_a_bound(self, api, files, query, holds_it):
        key = files.pending()
        assert ids(api("GET", f"/files?table={files.table}&{query}")) == ([key] if holds_it else [])

    def test_a_cursor_older_than_since_is_the_end(self, api, files):
        files.pending()
        files.pending()
        cursor = api("GET", f"/files?table={files.table}&limit=1")["cursor"]
        later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert api("GET", f"/files?table={files.table}&cursor={cursor}&since={later}") == {"files": [], "cursor": None}

    def test_pages_go_on_where_they_ended_while_files_arrive_and_move(self, api, files):
        expected = [files.failed() for _ in range(4)][::-1]
        found, cursor = [], None
        while cursor or not found:
            page = api("GET", "/files?limit=1" + (f"&cursor={cursor}" if cursor else ""))
            found += [file["file_id"] for file in page["files"] if file["table_name"] == files.table]
            cursor = page["cursor"]
            if len(found) == 2:
                files.control.files.retry(expected[3])
                files.pending()
        assert found == expected

    @pytest.mark.parametrize("name", ["a" * 10_000, "..%2F..%2Fetc", "%00", "A" * 32, "%F0%9F%8D%BA"])
    def test_an_id_of_any_form_is_not_found(self, api, name):
        assert len(api("GET", f"/files/{name}", 404)["detail"]) < 200
        api("POST", f"/files/{name}/retry", 404)


class TestManners:
    def test_an_answer_carries_the_id_of_its_request(self, api, files):
        refused = api.answer("GET", "/files?limit=0", 400)
        assert refused.json_body["request_id"] == refused.headers["X-Request-Id"] != ""

    def test_a_problem_names_what_would_be_valid(self, api):
        problem = api("GET", "/files?status=done", 400)
        assert {name: problem[name] for name in ("type", "status", "parameter", "got", "valid")} == {
            "type": "urn:datamaster:problem:invalid-parameter",
            "status": 400,
            "parameter": "status",
            "got": "done",
            "valid": "one of pending, running, bronze, silver, failed",
        }

    def test_what_is_known_already_is_not_sent_again(self, api, files):
        key = files.failed()
        tag = api.answer("GET", f"/files/{key}").headers["ETag"]
        assert api.answer("GET", f"/files/{key}", 304, headers={"If-None-Match": f'"other", {tag}'}).body == b""
        files.control.files.retry(key)
        assert api.answer("GET", f"/files/{key}", headers={"If-None-Match": tag}).headers["ETag"] != tag

    def test_a_failure_of_the_api_itself_is_a_problem_that_names_its_log(self, api, control_app, monkeypatch):
        control_app.control_table.cache_clear()
        control_app.settings.cache_clear()
        monkeypatch.setenv("CONTROL_TABLE", "no-such-table")
        answer = api.client.http.get("/files")
        assert (answer.status_code, answer.json_body["title"]) == (500, "The API failed")
        assert answer.json_body["request_id"] in answer.json_body["detail"]


class TestRetry:
    def test_a_failed_file_is_pending_again(self, api, files):
        key = files.failed()
        retried = api("POST", f"/files/{key}/retry")
        assert (retried["status"], retried["attempt_count"]) == ("pending", 2)
        assert files.control.files.get(key).status == "pending"

    def test_a_silver_file_that_lost_rows_may_be_retried(self, api, files):
        lost = files.silver(rejected=1)
        assert api("GET", f"/files/{lost}")["reject_reasons"] == {"ragged": 1}
        assert api("POST", f"/files/{lost}/retry")["status"] == "pending"

    def test_any_other_status_is_a_conflict_that_names_it(self, api, files):
        for key, status in ((files.pending(), "pending"), (files.silver(), "silver")):
            refused = api("POST", f"/files/{key}/retry", 409)
            assert refused["file_status"] == status
            assert f"is {status}" in refused["detail"]

    def test_force_takes_any_status(self, api, files):
        key = files.silver()
        api("POST", f"/files/{key}/retry?force=false", 409)
        assert api("POST", f"/files/{key}/retry?force=true")["status"] == "pending"

    def test_the_same_key_retries_once(self, api, files):
        key, once = files.failed(), {"Idempotency-Key": "b3f1"}
        first = api("POST", f"/files/{key}/retry", headers=once)
        assert api("POST", f"/files/{key}/retry", headers=once) == first
        files.control.files.fail(key, "NotGzip", "again")
        assert api("POST", f"/files/{key}/retry", headers=once)["attempt_count"] == 2
        assert api("POST", f"/files/{key}/retry", headers={"Idempotency-Key": "b3f2"})["attempt_count"] == 3

    def test_a_key_that_is_none_is_refused(self, api, files):
        problem = api("POST", f"/files/{files.failed()}/retry", 400, headers={"Idempotency-Key": "a b"})
        assert problem["parameter"] == "Idempotency-Key"

    @pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "image/png"])
    def test_a_body_is_refused_and_an_empty_one_of_any_type_taken(self, api, files, kind):
        key = files.failed()
        for body in (b'{"force": true}', b"no json", b"\xff\xfe"):
            assert api("POST", f"/files/{key}/retry", 400, body=body, headers={"Content-Type": kind})["parameter"] == "body"
        assert api("POST", f"/files/{key}/retry", body=b"", headers={"Content-Type": kind})["status"] == "pending"

    def test_force_is_true_or_false(self, api, files):
        assert 'parameter "force": got "yes"; one of true, false' in api("POST", f"/files/{files.failed()}/retry?force=yes", 400)["detail"]


class TestTables:
    def table(self, api, name):
        return next(table for table in api("GET", "/tables")["tables"] if table["table"] == name)

    def test_every_contracted_and_every_derived_table_is_there(self, api):
        answer = api("GET", "/tables")
        assert [table["table"] for table in answer["tables"]] == ["beer", "brewery", "profile", "review"]
        assert [(table["layer"], table["table"]) for table in answer["derived"]] == [
            ("silver", "review_flat"),
            ("gold", "state_by_review_volume"),
            ("gold", "top_beers_by_rating"),
            ("gold", "top_breweries_by_rating"),
            ("gold", "top_drinkers"),
            ("gold", "top_styles_by_popularity"),
        ]

    def test_a_table_counts_its_files_and_tells_how_long_the_oldest_waits(self, api, files):
        before = self.table(api, "beer")
        assert before["waiting_seconds"] == 0
        files.table = "beer"
        files.pending()
        files.silver()
        files.failed()
        after = self.table(api, "beer")
        assert {status: after["files"][status] - before["files"][status] for status in before["files"]} == {
            "pending": 1,
            "running": 0,
            "bronze": 0,
            "silver": 1,
            "failed": 1,
        }
        assert after["waiting_seconds"] >= 0

    def test_batches_and_months_are_told(self, api, files):
        control = files.control
        control.states.keep("silver/brewery", TargetState(settled_batch="b1"))
        control.batches.open("silver/brewery", "b2", "s3://x/manifest.json", "execution", 60)
        control.batches.release("silver/brewery", "b2", "the job ended with code 1")
        control.months.request("gold/top_drinkers", ["2024-02", "2024-01"], "b1")
        brewery = self.table(api, "brewery")
        assert brewery["last_batch"]["batch_id"] == "b1"
        assert (brewery["open_batch"]["batch_id"], brewery["open_batch"]["error"]) == ("b2", "the job ended with code 1")
        drinkers = next(table for table in api("GET", "/tables")["derived"] if table["table"] == "top_drinkers")
        assert drinkers["pending_months"] == ["2024-01", "2024-02"]

    def test_a_dropped_table_says_why_it_is_frozen_until_it_is_loaded_again(self, api, files):
        files.control.fences.add("profile", Fence(datetime(2024, 1, 1, tzinfo=UTC), "drop-table"))
        assert "dropped at its source at 2024-01-01" in self.table(api, "profile")["frozen_reason"]
        files.control.fences.add("profile", Fence(datetime(2024, 1, 2, tzinfo=UTC), "create-table"))
        assert self.table(api, "profile")["frozen_reason"] is None


class TestTroubles:
    def test_what_needs_a_person_is_named_with_its_command(self, api, files):
        key, look = files.failed(), f"dm files ls --status failed --table {files.table}"
        [found] = [trouble for trouble in api("GET", "/troubles")["troubles"] if trouble["subject"] == files.table]
        assert (found["kind"], found["count"], found["reason"]) == ("failed files", 1, "no gzip member at byte 0")
        assert (found["look"], found["since"]) == (look, files.control.files.get(key).created_at)
        files.control.files.retry(key)
        assert files.table not in {trouble["subject"] for trouble in api("GET", "/troubles")["troubles"]}

    def test_a_frozen_table_and_a_failed_batch_are_troubles(self, api, files):
        control = files.control
        control.fences.add("profile", Fence(datetime(2025, 1, 1, tzinfo=UTC), "drop-table"))
        control.batches.open("gold/top_drinkers", "b9", "s3://x/manifest.json", "execution", 60)
        control.batches.release("gold/top_drinkers", "b9", "the job ended with code 1")
        found = {(trouble["kind"], trouble["subject"]): trouble["look"] for trouble in api("GET", "/troubles")["troubles"]}
        assert found["frozen table", "profile"] == "dm reload profile"
        assert found["batch that failed", "top_drinkers"] == "dm run gold"
        control.fences.add("profile", Fence(datetime(2025, 1, 2, tzinfo=UTC), "create-table"))
        control.batches.close("gold/top_drinkers", "b9")


class TestHealth:
    def test_all_is_well(self, api):
        answer = api("GET", "/health")
        assert (answer["status"], [check["name"] for check in answer["checks"]]) == ("ok", ["control_table", "control_index", "contracts"])
        assert all(check["latency_ms"] > 0 for check in answer["checks"])

    def test_what_does_not_answer_is_named(self, api, control_app, monkeypatch):
        control_app.contract_store.cache_clear()
        control_app.settings.cache_clear()
        monkeypatch.setenv("CONTRACTS_URI", "s3://no-such-bucket/contracts/")
        answer = api("GET", "/health", 503)
        assert answer["status"] == "broken"
        assert [check["status"] for check in answer["checks"]] == ["ok", "ok", "broken"]

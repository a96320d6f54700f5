"""Query executions: their states from QUEUED to SUCCEEDED, FAILED or CANCELLED, and the threads that run them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import duckdb

from datamaster.athena.executor import Answer, Executor, Job
from datamaster.athena.failures import StatementFailed
from datamaster.athena.statement import Select

AT_ONCE = 4
KEPT = 2_000
INTERRUPT_SECONDS = 0.05
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class TokenReused(Exception):
    """A client token came with another request before."""


@dataclass
class QueryExecution:
    """One query execution. Times are seconds since 1970."""

    id: str
    sql: str
    work_group: str
    context: dict[str, str]
    parameters: tuple[str, ...]
    output: str
    is_query: bool
    submitted: float = field(default_factory=time.time)
    completed: float | None = None
    state: str = "QUEUED"
    reason: str | None = None
    answer: Answer | None = None
    session: duckdb.DuckDBPyConnection | None = None

    @property
    def asked(self) -> tuple[Any, ...]:
        """The caller's request."""
        return self.sql, self.work_group, self.context, self.parameters

    def described(self) -> dict[str, Any]:
        """Athena's QueryExecution."""
        status: dict[str, Any] = {"State": self.state, "SubmissionDateTime": self.submitted}
        elapsed = int(((self.completed or time.time()) - self.submitted) * 1000)
        if self.completed is not None:
            status["CompletionDateTime"] = self.completed
        if self.reason is not None:
            status["StateChangeReason"] = self.reason
            if self.state == "FAILED":
                status["AthenaError"] = {"ErrorCategory": 2, "ErrorType": 1300, "Retryable": False, "ErrorMessage": self.reason}
        described = {
            "QueryExecutionId": self.id,
            "Query": self.sql,
            "StatementType": "DML" if self.is_query else "UTILITY",
            "ResultConfiguration": {"OutputLocation": self.output},
            "QueryExecutionContext": self.context,
            "Status": status,
            "Statistics": {"EngineExecutionTimeInMillis": elapsed, "TotalExecutionTimeInMillis": elapsed, "DataScannedInBytes": 0},
            "WorkGroup": self.work_group,
            "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"},
        }
        return described | ({"ExecutionParameters": list(self.parameters)} if self.parameters else {})


class QueryExecutions:
    """Keeps the latest executions and runs ``AT_ONCE`` of them at a time."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="athena")
        self.lock = threading.Lock()
        self.by_id: OrderedDict[str, QueryExecution] = OrderedDict()
        self.by_token: dict[str, str] = {}

    def submit(self, execution: QueryExecution, job: Callable[[], Job], token: str | None) -> str:
        """Queue an execution; the same client token gives the same execution again. Returns its id.

        Raises ``TokenReused`` for a token that came with another statement, context, parameters or work group.
        """
        with self.lock:
            if token is not None and (known := self.by_id.get(self.by_token.get(token, ""))):
                if known.asked != execution.asked:
                    raise TokenReused
                return known.id
            self.by_id[execution.id] = execution
            if token is not None:
                self.by_token[token] = execution.id
            while len(self.by_id) > KEPT:
                self.by_id.popitem(last=False)
        self.threads.submit(self._run, execution, job)
        return execution.id

    def get(self, execution_id: str) -> QueryExecution | None:
        """The execution, None if it is unknown."""
        with self.lock:
            return self.by_id.get(execution_id)

    def ids(self, work_group: str) -> list[str]:
        """Ids of a work group's executions, newest first."""
        with self.lock:
            return [execution.id for execution in reversed(self.by_id.values()) if execution.work_group == work_group]

    def stop(self, execution: QueryExecution) -> None:
        """Cancel an execution that has not ended."""
        with self.lock:
            if execution.state in ENDED:
                return
            self._end(execution, "CANCELLED", "Query cancelled by user")
        threading.Thread(target=self._interrupt, args=(execution,), daemon=True).start()

    def _interrupt(self, execution: QueryExecution) -> None:
        """Interrupt what the execution's thread runs until that has ended: between two statements an interrupt hits nothing."""
        while True:
            with self.lock:
                if execution.session is None:
                    return
                execution.session.interrupt()
            time.sleep(INTERRUPT_SECONDS)

    def _run(self, execution: QueryExecution, job: Callable[[], Job]) -> None:
        with self.lock:
            if execution.state in ENDED:
                return
            execution.state = "RUNNING"
        try:
            prepared = job()
            execution.is_query = isinstance(prepared.statement, Select)
            answer = self.executor.run(prepared, lambda session: self._started(execution, session))
        except StatementFailed as error:
            self._settle(execution, "FAILED", str(error), None)
        except Exception as error:
            self._settle(execution, "FAILED", f"GENERIC_INTERNAL_ERROR: {type(error).__name__}: {error}", None)
        else:
            self._settle(execution, "SUCCEEDED", None, answer)

    def _started(self, execution: QueryExecution, session: duckdb.DuckDBPyConnection) -> None:
        with self.lock:
            if execution.state in ENDED:
                raise StatementFailed("USER_CANCELED", "Query cancelled by user")
            execution.session = session

    def _settle(self, execution: QueryExecution, state: str, reason: str | None, answer: Answer | None) -> None:
        with self.lock:
            execution.session = None
            if execution.state not in ENDED:
                execution.answer = answer
                self._end(execution, state, reason)

    @staticmethod
    def _end(execution: QueryExecution, state: str, reason: str | None) -> None:
        execution.completed, execution.reason, execution.state = time.time(), reason, state

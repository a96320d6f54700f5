"""A statement that is stopped ends, whatever its thread does at that moment."""

import threading
import time

from datamaster.athena.failures import StatementFailed
from datamaster.athena.query_executions import QueryExecution, QueryExecutions


class Session:
    """Counts its interrupts. One that comes between two statements hits nothing, as in the engine."""

    def __init__(self):
        self.interrupts = 0

    def interrupt(self):
        self.interrupts += 1


class BetweenStatements:
    """An executor that is stopped while its session runs nothing, and then begins a statement without an end."""

    def __init__(self):
        self.started, self.stopped, self.ended = threading.Event(), threading.Event(), threading.Event()

    def run(self, _job, started):
        session = Session()
        started(session)
        self.started.set()
        self.stopped.wait(5)
        before = session.interrupts
        deadline = time.monotonic() + 5
        while session.interrupts == before and time.monotonic() < deadline:
            time.sleep(0.01)
        if session.interrupts > before:
            self.ended.set()
        raise StatementFailed("USER_CANCELED", "interrupted")


class Job:
    statement = None


def test_a_statement_that_begins_after_it_was_stopped_is_interrupted_too():
    executor = BetweenStatements()
    executions = QueryExecutions(executor)
    execution = QueryExecution("e", "SELECT 1", "primary", {}, (), "s3://x/y", is_query=True)
    executions.submit(execution, Job, None)
    assert executor.started.wait(5)

    executions.stop(execution)
    time.sleep(0.1)
    executor.stopped.set()

    assert executor.ended.wait(6)
    assert execution.state == "CANCELLED"

"""The router's Lambda functions: transform_records, register_files, start_conversions, sweep_files."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes import KinesisFirehoseEvent
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.data_classes.kinesis_firehose_event import KinesisFirehoseDataTransformationResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import BaseLambdaEvent, Chalice, CloudWatchEvent, DynamoDBEvent, Rate, SQSEvent

from ingest.conversions import Conversions, is_due
from ingest.events import announced_objects, file_record
from ingest.observation import tell_batch_failures, tell_registration, tell_start, tell_sweep, tell_transformation
from ingest.raw_objects import RawObjects
from ingest.registration import Registration
from ingest.routing import Router
from ingest.settings import settings
from ingest.source_stream import SourceStream
from ingest.sweep import Sweep
from ingest.transformation import Transformation, TransformedBatch
from lake.contract import ContractSet
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.telemetry import logger, observe

QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:placeholder"
STREAM_ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/placeholder/stream/placeholder"
"""Chalice needs a queue and a stream to package. The template replaces them with the real ones."""
SWEEP_SPARE_MILLISECONDS = 120_000

app = Chalice(app_name="dm-ingest-router")
observe(app)
source_stream = SourceStream()
raw_objects = RawObjects()
_routers: dict[str, Router] = {}


@app.lambda_function(name="transform_records")
def transform_records(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Transform Firehose's records, with exactly one answer per record, in order."""
    firehose = KinesisFirehoseEvent(event)
    batch = Transformation(router(contract_store().current())).run(firehose.records)
    if batch.returned:
        source_stream.put_back(firehose.source_kinesis_stream_arn, batch.returned)
    note_refusals(batch)
    tell_transformation(batch)
    return KinesisFirehoseDataTransformationResponse(batch.answers).asdict()


def note_refusals(batch: TransformedBatch) -> None:
    """Keep the refused rows of loads. A failure here does not fail the batch, because it only makes the table's load wait."""
    try:
        for table, refusals in batch.refusals.items():
            control_table().refusals.note(table, refusals)
    except (BotoCoreError, ClientError):
        logger.exception(
            "refused rows were not counted; the load of their table will wait for them", extra={"tables": list(batch.refusals)}
        )


@app.on_sqs_message(queue_arn=QUEUE_ARN, batch_size=10, name="register_files")
def register_files(event: SQSEvent) -> Any:
    """Create a control record for each raw object that S3 announces. Only a failed message goes back to the queue."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handle(record: SQSRecord) -> None:
        for raw in announced_objects(record):
            tell_registration(raw, registration().register(raw))

    answer = process_partial_response(event.to_dict(), handle, processor, _context(event))
    tell_batch_failures(processor)
    return answer


@app.on_dynamodb_record(stream_arn=STREAM_ARN, batch_size=100, starting_position="TRIM_HORIZON", name="start_conversions")
def start_conversions(event: DynamoDBEvent) -> Any:
    """Start the execution of each file that became pending, from the control table's stream."""
    processor = BatchProcessor(event_type=EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)

    def handle(record: DynamoDBRecord) -> None:
        file = file_record(record)
        if file is not None and is_due(file):
            tell_start(file, conversions().start(file))

    answer = process_partial_response(event.to_dict(), handle, processor, _context(event))
    tell_batch_failures(processor)
    return answer


@app.schedule(Rate(5, unit=Rate.MINUTES), name="sweep_files")
def sweep_files(event: CloudWatchEvent) -> dict[str, Any]:
    """Find lost files. With ``first_key`` in the event's detail, the listing continues at that key."""
    context = _context(event)
    sweep = Sweep(
        control_table(),
        registration(),
        conversions(),
        raw_objects,
        settings().max_attempts,
        timedelta(seconds=settings().unsettled_seconds),
        has_time=lambda: context.get_remaining_time_in_millis() > SWEEP_SPARE_MILLISECONDS,
    )
    swept = sweep.run(settings().stage_bucket, (event.detail or {}).get("first_key"))
    tell_sweep(swept)
    return swept.report()


@cache
def contract_store() -> ContractStore:
    """The published contracts."""
    return ContractStore(settings().contracts_uri)


@cache
def control_table() -> ControlTable:
    """The control table."""
    return ControlTable(settings().control_table)


@cache
def conversions() -> Conversions:
    """The starter of the state machine convert-file."""
    return Conversions(settings().convert_state_machine_arn)


@cache
def registration() -> Registration:
    """The registration of raw objects."""
    return Registration(control_table(), contract_store(), raw_objects, settings().lambda_limit)


def router(contracts: ContractSet) -> Router:
    """The router for these contracts, compiled once per version."""
    if contracts.version not in _routers:
        _routers.clear()
        _routers[contracts.version] = Router(contracts)
    return _routers[contracts.version]


def _context(event: BaseLambdaEvent) -> Any:
    """The Lambda context, which chalice types as a dict."""
    return event.context

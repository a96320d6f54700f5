"""Scale and cost are what the templates, the figures and the formulas say, worked out by hand here."""

import random
from dataclasses import replace

import pytest
import yaml

from datamaster.aws.sizing.capacity import ON_AWS, Capacity
from datamaster.aws.sizing.cost import DATABASE, SIZES, alternatives, month, total
from datamaster.aws.sizing.documents import cost_page, scale_page
from datamaster.aws.sizing.figures import MEASURED, TABLE, UNVERIFIED, Figure, figures
from datamaster.aws.sizing.latency import median, waits
from datamaster.aws.sizing.scale import ChangeRate, Files, binding, walk
from datamaster.cli import WRONG_INPUT, run
from datamaster.project import PROJECT
from tests.benchmarks.test_transform_records import review

PROD = Capacity.of("prod")


def step(load, service, road=PROD):
    return next(found for found in walk(load, road) if found.service == service)


def cost(size, service, road=PROD):
    return next(found for found in month(SIZES[size], road) if found.service == service)


@pytest.mark.parametrize(("page", "text"), [("scale.md", scale_page(PROD)), ("cost.md", cost_page(PROD))])
def test_the_pages_show_what_the_command_prints(page, text):
    assert text in (PROJECT / "docs" / page).read_text(), f"docs/{page} shows other numbers; put those of dm size there"


def test_a_hundred_thousand_changes_a_second_make_67_megabytes_and_half_a_file():
    load = ChangeRate("", 100_000)
    assert step(load, "Kinesis, a grown stream").demand == pytest.approx(100_000 * 670 / 1e6)
    # a table: 25,000 changes/s of 670 bytes = 16.75 MB/s, cut at 128 MB
    assert Files.of(load, PROD, MEASURED).a_second == pytest.approx(4 * 16.75 / 128)
    assert step(load, "DMS, sending").share == pytest.approx(12.5)
    assert binding(walk(load, PROD)).service == "DMS, sending"


def test_a_quiet_table_makes_a_file_a_buffer_interval_and_no_more_files_than_changes():
    assert Files.of(ChangeRate("", 10), PROD, MEASURED).a_second == pytest.approx(4 / 60)
    assert Files.of(ChangeRate("", 0.004), PROD, MEASURED).a_second == pytest.approx(0.004)


def test_files_over_the_limit_of_lines_go_to_the_container():
    # 100,000 lines in 60 s of one of four tables
    border = 100_000 / 60 * 4
    assert Files.of(ChangeRate("", border * 0.99), PROD, MEASURED).by_lambda
    assert not Files.of(ChangeRate("", border * 1.01), PROD, MEASURED).by_lambda


def test_a_gigabyte_a_day_is_17_changes_a_second():
    assert ChangeRate.of_bytes("", 1_000_000_000).changes == pytest.approx(1e9 / 86_400 / 670)


def test_a_changed_setting_changes_the_walk():
    load = ChangeRate("", 100_000)
    assert step(load, "transform_records, at once").demand == pytest.approx(5)
    assert step(load, "register_files, at once", replace(PROD, register_at_once=PROD.register_at_once // 2)).share == pytest.approx(
        2 * step(load, "register_files, at once").share
    )


def test_prod_reads_its_settings_from_the_templates():
    router = yaml.safe_load((PROJECT / "environments" / "prod.yaml").read_text())
    assert (PROD.buffer_seconds, PROD.buffer_megabytes, PROD.transform_megabytes) == (60, 128, 1)
    assert PROD.silver_seconds == 900
    assert PROD.batch_files == 500
    assert PROD.database_capacity == router["database_minimum_capacity"]
    assert (Capacity.of("dev").endpoints, Capacity.of("dev").nat, PROD.nat) == (2, True, False)


def test_kinesis_counts_a_small_change_that_comes_in_as_one_kilobyte():
    changes, kept = 5_000e9 / 670, 5_000 * 6 * 24 / 730
    by_hand = 730 * 0.04 + changes * 1024 / 1e9 * 0.08 + 5_000 * 0.04 + kept * 0.10
    assert cost("5 TB", "Kinesis").dollars == pytest.approx(by_hand)


def test_firehose_counts_a_small_change_as_five_kilobytes():
    changes = 5_000e9 / 670
    objects = 4 / 60 * 730 * 3600
    by_hand = changes * 5120 / 1e9 * 0.029 + 5_000 * 0.02 + objects * 0.000005
    assert cost("5 TB", "Firehose").dollars == pytest.approx(by_hand)


def test_step_functions_and_lambda_by_hand():
    files = 4 / 60 * 730 * 3600
    assert cost("1 GB", "Step Functions").dollars == pytest.approx((files * 5 + (2920 * 5 + 730 * 5 + 730 / 24 * 10) * 5) * 0.000025)
    seconds = 1e9 / 670 / 600_000 + files * 1.5
    assert cost("1 GB", "Lambda, conversion").dollars == pytest.approx(files * 2e-7 + seconds * 3538 / 1024 * 0.00001667)


def test_the_source_costs_the_same_whatever_comes():
    assert cost("1 GB", "Aurora").dollars == cost("5 TB", "Aurora").dollars == pytest.approx(2 * 730 * 0.12 + 20 * 0.1)
    assert cost("1 GB", "Network").dollars == pytest.approx(PROD.endpoints * 2 * 730 * 0.01)
    assert cost("1 GB", "Network", Capacity.of("dev")).dollars == pytest.approx(730 * 0.045 + 2 * 2 * 730 * 0.01)


def test_another_way_is_the_road_with_services_exchanged():
    ways = alternatives(SIZES["100 GB"], PROD)
    ours, glue = ways["this road"], ways["Glue ETL instead of EMR Serverless"]
    without = total(entry for entry in ours if entry.service != "EMR Serverless")
    # five jobs in each of 2,920 runs, five an hour and ten a night: a minute of two DPU each, and the rows' core seconds
    runs = 730 * 3600 / 900
    jobs = runs * 5 + 730 * 5 + 730 / 24 * 10
    work = 100e9 / 670 / 100_000 + runs * (100_000_000 / 36 * 2) / 170_000
    assert total(glue) == pytest.approx(without + (jobs * 60 * 2 + work / 4) / 3600 * 0.44)
    # of EMR Serverless a driver and an executor of two cores and 7 GB each
    by_hand = (jobs * 2 * 60 + work / 2) / 3600 * (2 * 0.052624 + 7 * 0.0057785)
    assert cost("100 GB", "EMR Serverless").dollars == pytest.approx(by_hand)


def test_a_figure_without_page_or_date_is_unverified():
    assert Figure("x", 1, "GB").stated == UNVERIFIED
    assert Figure("x", 1, "GB", source="https://docs.aws.amazon.com/").stated == UNVERIFIED
    assert not all(price.stated == UNVERIFIED for price in figures("prices").values())
    assert not cost("1 GB", "DMS Serverless").verified
    assert cost("1 GB", "Step Functions").verified


def test_every_price_and_quota_is_used():
    used = {
        name
        for size in SIZES
        for road in Capacity.every()
        for way in alternatives(SIZES[size], road).values()
        for c in way
        for name in c.prices
    }
    used |= {name for entry in month(400_000e9, PROD) for name in entry.prices}
    assert used == set(figures("prices"))
    source = (PROJECT / "datamaster" / "aws" / "sizing" / "scale.py").read_text()
    assert [name for name in figures("quotas") if f'"{name}"' not in source] == []


def test_a_change_on_the_stream_is_as_long_as_the_figures_say():
    source = random.Random(1)
    lengths = [len(review(number + 1_000_000, source)) for number in range(1_000)]
    assert sum(lengths) / len(lengths) == pytest.approx(MEASURED.message_bytes, rel=0.02)
    assert set(yaml.safe_load(TABLE.read_text())) == {"quotas", "prices", "measured"}


def test_the_index_count_is_the_control_tables():
    from datamaster.aws.cloudformation.rendering import Template

    [table] = Template(PROJECT / "templates" / "control.yaml").of_type("AWS::DynamoDB::Table").values()
    assert len(table["GlobalSecondaryIndexes"]) == MEASURED.indexes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["size", "cost", "--env", "test"], 'unknown environment "test"; one of lean, dev, staging, prod'),
        (["size", "scale", "--changes", "0"], "--changes 0: changes a second, more than 0, expected"),
    ],
)
def test_a_wrong_option_is_told_with_what_is_valid(arguments, message, capsys):
    assert run(arguments) == WRONG_INPUT
    assert message in capsys.readouterr().err


def test_the_command_prints_data_too(capsys):
    import json

    assert not run(["size", "scale", "--changes", "5000", "--json"])
    [load] = json.loads(capsys.readouterr().out)["loads"]
    assert (load["changes_a_second"], load["binds_first"]) == (5000, "DMS, sending")
    assert not run(["size", "cost", "--json"])
    assert json.loads(capsys.readouterr().out)["months"].keys() == SIZES.keys()


def test_the_jobs_that_are_counted_are_those_of_the_tables():
    from datamaster.aws.access.matrix import load_matrix
    from datamaster.aws.deploy.spark_submit import CORES

    assert MEASURED.worker_cores == CORES
    layers = load_matrix().layers
    silver, gold = layers["silver"].tables, layers["gold"].tables
    assert (MEASURED.tables + MEASURED.derived, MEASURED.gold_tables, MEASURED.maintained) == (
        len(silver),
        len(gold),
        len(silver) + len(gold),
    )


@pytest.mark.parametrize("name", ON_AWS)
def test_the_budget_covers_what_a_quiet_month_costs(name):
    chosen = yaml.safe_load((PROJECT / "environments" / f"{name}.yaml").read_text())
    assert chosen["budget_dollars"] >= total(month(SIZES["1 GB"], Capacity.of(name)))


LEFT_OUT = {
    "network: public": ("endpoints", "endpoint_zones", "nat"),
    "silver_schedule: rate(60 minutes)": ("silver_seconds",),
    "buffer_seconds: 300": ("buffer_seconds",),
    "replication_instance_class: dms.t3.small": ("replication_class", "replication_storage"),
    "shards: 1": ("shards", "retention_hours"),
    "gold_schedule": ("gold_runs",),
    "sweep_schedule: rate(30 minutes)": ("sweep_seconds",),
}


@pytest.mark.parametrize("setting", LEFT_OUT)
def test_each_saving_of_the_lean_environment_is_the_one_on_the_page(setting):
    lean, dev = Capacity.of("lean"), Capacity.of("dev")
    other = replace(lean, **{field: getattr(dev, field) for field in LEFT_OUT[setting]})
    saved = total(month(SIZES["1 GB"], other)) - total(month(SIZES["1 GB"], lean))
    [row] = [row for row in (PROJECT / "docs" / "cost.md").read_text().splitlines() if row.startswith(f"| `{setting}")]
    assert row.split("|")[2].strip() == f"{saved:.0f}"
    if "median" in row:
        assert f"{(median(lean) - median(other)) / 60:.0f} minutes" in row


def test_a_gigabyte_costs_at_most_120_dollars_in_the_lean_environment_beside_the_database():
    assert total(entry for entry in month(SIZES["1 GB"], Capacity.of("lean")) if entry.service != DATABASE) <= 120


def test_the_median_is_that_of_changes_drawn_from_the_waits():
    from benchmarks.latency.aws import cumulative

    for road in Capacity.every():
        drawn = cumulative(waits(road))["silver"]
        assert float(sorted(drawn)[len(drawn) // 2]) == pytest.approx(median(road), rel=0.01)


def test_a_stream_with_shards_carries_a_thousand_changes_a_second_in_each():
    lean = Capacity.of("lean")
    assert step(ChangeRate("", 2_000), "Kinesis, shards", lean).share == pytest.approx(2)
    assert cost("1 GB", "Kinesis", lean).dollars == pytest.approx(730 * 0.015 + 1e9 / 670 * 0.000000014)


def test_the_page_of_waits_has_those_of_production():
    page = (PROJECT / "docs" / "latency.md").read_text()
    for wait in waits(PROD):
        assert f"| {wait.stage} | {wait.what} | {wait.low:g} to {wait.high:g} | {wait.source} |" in page


@pytest.mark.parametrize("name", ON_AWS)
def test_the_page_of_the_deployment_has_each_environments_month(name):
    page = (PROJECT / "docs" / "deploy.md").read_text()
    [row] = [row for row in page.splitlines() if row.startswith("| a month of 1 GB")]
    assert row.split("|")[2 + ON_AWS.index(name)].strip() == f"${total(month(SIZES['1 GB'], Capacity.of(name))):,.0f}"

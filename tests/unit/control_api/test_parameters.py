"""Any text as any parameter: a value, or a refusal that names it; and times that sort as text."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from control_api.file_answers import FILTERS
from control_api.parameters import MAX_LIMIT, InvalidParameter, Parameters
from lake.control.records import STATUSES, timestamp

TEXTS = st.text() | st.from_regex(r"[0-9]{1,4}-[0-9]{2}-[0-9]{2}(T[0-9:.]{1,12}([+-][0-9:]{2,5}|Z)?)?", fullmatch=True)


@given(st.dictionaries(st.sampled_from(FILTERS), st.lists(TEXTS, min_size=1, max_size=2)))
def test_any_text_is_read_or_refused_by_name(query):
    refused = []
    try:
        parameters = Parameters(query, FILTERS)
        parameters.text("table"), parameters.choice("status", STATUSES), parameters.cursor()
        assert 1 <= parameters.limit() <= MAX_LIMIT
        since, until = parameters.span("since", "until")
        assert since is None or until is None or timestamp(since) <= timestamp(until)
    except InvalidParameter as error:
        refused.append(error)
    assert all(error.name in FILTERS and len(error.got) < 120 for error in refused)


ZONES = st.integers(-24 * 60 + 1, 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes)))


BOUNDS = st.datetimes(max_value=datetime(1, 1, 2)) | st.datetimes(min_value=datetime(9999, 12, 31))


@given(st.datetimes() | BOUNDS, ZONES)
def test_a_time_of_any_year_and_zone_is_a_moment(local, zone):
    moment = local.replace(tzinfo=zone)
    read = Parameters({"since": [moment.isoformat()]}, FILTERS).moment("since")
    assert read == min(max(moment, datetime.min.replace(tzinfo=UTC)), datetime.max.replace(tzinfo=UTC))


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_of_the_control_table_sort_as_text(one, other):
    assert (one < other) == (timestamp(one) < timestamp(other))
    assert datetime.fromisoformat(timestamp(one)) == one

"""The generator's rows: the same for a seed, skewed, and odd enough to find faults."""

from __future__ import annotations

import random

import numpy as np
import pyarrow.compute as pc
import pytest

from beer.churn import Keys
from beer.generate import Scale, beer_table, brewery_table, profile_table, review_tables


def reviews(scale, seed=1):
    beers = np.arange(1, scale.beers + 1)
    (chunk,) = review_tables(beers, beers % scale.breweries + 1, np.arange(1, scale.profiles + 1), scale, seed)
    return chunk


@pytest.mark.parametrize("make", [brewery_table, beer_table, profile_table, reviews])
def test_a_seed_decides_every_row(make):
    scale = Scale.of(5_000)

    assert make(scale, 1).equals(make(scale, 1))
    assert not make(scale, 1).equals(make(scale, 2))


@pytest.mark.parametrize("count", [1_000, 20_000, 100_000])
def test_several_beers_have_25_reviews_in_a_month(count):
    table = reviews(Scale.of(count))
    months = pc.strftime(pc.cast(table["review_time"], "timestamp[s]"), "%Y-%m")
    busy = table.append_column("month", months).group_by(["month", "beer_id"]).aggregate([("review_id", "count")])

    assert pc.sum(pc.greater_equal(busy["review_id_count"], 25)).as_py() >= 5


def test_reviews_spread_over_36_months():
    months = pc.strftime(pc.cast(reviews(Scale.of(100_000))["review_time"], "timestamp[s]"), "%Y-%m")

    assert len(pc.unique(months)) == 36


def test_few_beers_make_most_reviews():
    counts = np.sort(np.bincount(reviews(Scale.of(100_000))["beer_id"].to_numpy()))[::-1]

    assert counts[: len(counts) // 10].sum() > 0.6 * counts.sum()


def test_names_hold_what_breaks_careless_csv_and_abv_is_null_at_times():
    beers, breweries = beer_table(Scale.of(100_000), 1), brewery_table(Scale.of(100_000), 1)
    text = " ".join(beers["beer_name"].to_pylist() + breweries["brewery_name"].to_pylist())

    assert all(mark in text for mark in ('"', ",", "'", "ü", "東"))
    assert 0.15 < beers["beer_abv"].null_count / beers.num_rows < 0.35
    assert "" in beers["beer_style"].to_pylist()
    assert None in beers["beer_style"].to_pylist()


def test_mail_addresses_are_on_domains_kept_for_examples():
    mails = [mail for mail in profile_table(Scale.of(100_000), 1)["email"].to_pylist() if mail]

    assert {mail.rsplit("@", 1)[1] for mail in mails} == {"example.com", "example.org"}
    assert len(set(mails)) == len(mails)


def test_names_fit_the_columns():
    scale = Scale.of(100_000)
    profiles = profile_table(scale, 1)

    assert max(len(name) for name in beer_table(scale, 1)["beer_name"].to_pylist()) <= 200
    assert {len(state) for state in profiles["state"].to_pylist() if state} == {2}


def test_a_key_that_was_taken_is_not_given_again_until_it_is_added():
    rng = random.Random(1)
    keys = Keys([1, 2, 3])
    taken = keys.take(rng)

    assert taken not in {keys.any(rng) for _ in range(50)}
    assert keys.new() == 4
    keys.add(taken)
    assert {keys.any(rng) for _ in range(200)} == {1, 2, 3, 4}

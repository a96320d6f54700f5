-- The source's tables; ../contracts/*.yaml describe the same columns.
CREATE SCHEMA IF NOT EXISTS dm_core;

CREATE TABLE IF NOT EXISTS dm_core.brewery (
    brewery_id   bigint PRIMARY KEY,
    brewery_name varchar(200) NOT NULL
);

CREATE TABLE IF NOT EXISTS dm_core.beer (
    beer_id    bigint PRIMARY KEY,
    brewery_id bigint NOT NULL REFERENCES dm_core.brewery,
    beer_name  varchar(200) NOT NULL,
    beer_style varchar(100),
    beer_abv   double precision
);

CREATE TABLE IF NOT EXISTS dm_core.profile (
    profile_id   bigint PRIMARY KEY,
    profile_name varchar(200) NOT NULL,
    email        varchar(200),
    state        varchar(50)
);

CREATE TABLE IF NOT EXISTS dm_core.review (
    review_id         bigint PRIMARY KEY,
    brewery_id        bigint NOT NULL REFERENCES dm_core.brewery,
    beer_id           bigint NOT NULL REFERENCES dm_core.beer,
    profile_id        bigint NOT NULL REFERENCES dm_core.profile,
    review_overall    double precision,
    review_aroma      double precision,
    review_appearance double precision,
    review_palate     double precision,
    review_taste      double precision,
    review_time       bigint NOT NULL
);

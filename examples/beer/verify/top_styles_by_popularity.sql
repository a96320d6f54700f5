-- Styles by month; beers without a style are a group too.
-- key: beer_style
-- shown: popularity
-- order: popularity DESC NULLS LAST, review_count DESC, beer_style NULLS LAST
SELECT CASE WHEN r.review_time BETWEEN -62135596800 AND 253402300799
            THEN CAST(extract(year FROM to_timestamp(r.review_time) AT TIME ZONE 'UTC') AS integer) ELSE 0 END AS review_year,
       CASE WHEN r.review_time BETWEEN -62135596800 AND 253402300799
            THEN CAST(extract(month FROM to_timestamp(r.review_time) AT TIME ZONE 'UTC') AS integer) ELSE 0 END AS review_month,
       b.beer_style,
       count(*) AS review_count,
       count(r.review_overall) AS rated_count,
       coalesce(sum(r.review_overall), 0) AS overall_sum
FROM review r
JOIN beer b ON b.beer_id = r.beer_id
GROUP BY 1, 2, b.beer_style

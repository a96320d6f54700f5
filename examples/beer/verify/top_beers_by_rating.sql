-- Beers with at least 25 reviews in a month.
-- key: beer_id
-- shown: beer_name
-- order: avg_overall DESC NULLS LAST, review_count DESC, beer_id
SELECT CASE WHEN r.review_time BETWEEN -62135596800 AND 253402300799
            THEN CAST(extract(year FROM to_timestamp(r.review_time) AT TIME ZONE 'UTC') AS integer) ELSE 0 END AS review_year,
       CASE WHEN r.review_time BETWEEN -62135596800 AND 253402300799
            THEN CAST(extract(month FROM to_timestamp(r.review_time) AT TIME ZONE 'UTC') AS integer) ELSE 0 END AS review_month,
       r.beer_id,
       b.beer_name,
       count(*) AS review_count,
       count(r.review_overall) AS rated_count,
       coalesce(sum(r.review_overall), 0) AS overall_sum
FROM review r
JOIN beer b ON b.beer_id = r.beer_id
GROUP BY 1, 2, r.beer_id, b.beer_name
HAVING count(*) >= 25

-- description: States by number of reviews in the month.
-- layer: gold
-- fact: review_flat
-- partition: review_year, review_month
WITH months AS (
    SELECT review_year, review_month, state,
           count(*) AS review_count,
           round(avg(cast(review_overall AS double)), 2) AS avg_overall
    FROM review_flat
    GROUP BY review_year, review_month, state
)
SELECT review_year, review_month,
       row_number() OVER (
           PARTITION BY review_year, review_month
           ORDER BY review_count DESC, state ASC NULLS LAST
       ) AS rank,
       state, review_count, avg_overall
FROM months

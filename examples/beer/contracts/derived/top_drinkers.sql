-- description: Profiles by number of reviews in the month.
-- layer: gold
-- fact: review_flat
-- partition: review_year, review_month
WITH months AS (
    SELECT review_year, review_month, profile_id, profile_name, state,
           count(*) AS review_count,
           round(avg(cast(review_overall AS double)), 2) AS avg_overall
    FROM review_flat
    GROUP BY review_year, review_month, profile_id, profile_name, state
)
SELECT review_year, review_month,
       row_number() OVER (PARTITION BY review_year, review_month ORDER BY review_count DESC, profile_id) AS rank,
       profile_id, profile_name, state, review_count, avg_overall
FROM months

-- description: Breweries with at least 25 reviews in the month, best average first.
-- layer: gold
-- fact: review_flat
-- partition: review_year, review_month
WITH months AS (
    SELECT review_year, review_month, brewery_id, brewery_name,
           count(*) AS review_count,
           round(avg(cast(review_overall AS double)), 2) AS avg_overall
    FROM review_flat
    GROUP BY review_year, review_month, brewery_id, brewery_name
    HAVING count(*) >= 25
)
SELECT review_year, review_month,
       row_number() OVER (
           PARTITION BY review_year, review_month
           ORDER BY avg_overall DESC NULLS LAST, review_count DESC, brewery_id
       ) AS rank,
       brewery_id, brewery_name, review_count, avg_overall
FROM months

-- description: Beer styles by popularity: number of reviews times average rating.
-- layer: gold
-- fact: review_flat
-- partition: review_year, review_month
WITH months AS (
    SELECT review_year, review_month, beer_style,
           count(*) AS review_count,
           round(avg(cast(review_overall AS double)), 2) AS avg_overall
    FROM review_flat
    GROUP BY review_year, review_month, beer_style
), popular AS (
    SELECT review_year, review_month, beer_style, review_count, avg_overall,
           round(review_count * avg_overall, 2) AS popularity
    FROM months
)
SELECT review_year, review_month,
       row_number() OVER (
           PARTITION BY review_year, review_month
           ORDER BY popularity DESC NULLS LAST, review_count DESC, beer_style ASC NULLS LAST
       ) AS rank,
       beer_style, review_count, avg_overall, popularity
FROM popular

-- Profiles by month.
-- key: profile_id
-- shown: profile_name, state
-- order: review_count DESC, profile_id
SELECT CASE WHEN r.review_time BETWEEN -62135596800 AND 253402300799
            THEN CAST(extract(year FROM to_timestamp(r.review_time) AT TIME ZONE 'UTC') AS integer) ELSE 0 END AS review_year,
       CASE WHEN r.review_time BETWEEN -62135596800 AND 253402300799
            THEN CAST(extract(month FROM to_timestamp(r.review_time) AT TIME ZONE 'UTC') AS integer) ELSE 0 END AS review_month,
       r.profile_id,
       p.profile_name,
       p.state,
       count(*) AS review_count,
       count(r.review_overall) AS rated_count,
       coalesce(sum(r.review_overall), 0) AS overall_sum
FROM review r
JOIN profile p ON p.profile_id = r.profile_id
GROUP BY 1, 2, r.profile_id, p.profile_name, p.state

-- description: Every live review beside the names of its brewery, beer and profile; null until their row has come.
-- layer: silver
-- fact: review
-- join: brewery on brewery_id = brewery_id
-- join: beer on beer_id = beer_id
-- join: profile on profile_id = profile_id
-- partition: review_year, review_month
SELECT r.review_id,
       r.brewery_id, brewery.brewery_name,
       r.beer_id, beer.beer_name, beer.beer_style, beer.beer_abv,
       r.profile_id, profile.profile_name, profile.state,
       r.review_overall, r.review_aroma, r.review_appearance, r.review_palate, r.review_taste,
       r.review_time, r.review_year, r.review_month,
       r.created_at, r.updated_at
FROM review r
LEFT JOIN brewery ON brewery.brewery_id = r.brewery_id
LEFT JOIN beer ON beer.beer_id = r.beer_id
LEFT JOIN profile ON profile.profile_id = r.profile_id

-- One row per key: its newest change, its newest image, and of each column that updates may leave out the newest carrier.
with ranked as (
    -- The digest keeps rows of one place apart, as in a foreign CSV that names a key twice.
    select *, case when not cdc_is_delete then concat(cdc_at, lpad(hex(xxhash64({columns})), 16, '0')) end as cdc_image_rank
    from {changes}
),

newest as (
    select
        {key},
        max(concat(cdc_at, case when cdc_is_delete then '1' else '0' end)) as cdc_last,
        max(cdc_image_rank) as cdc_image_rank,
        max(case when {loaded} then cdc_generation end) as cdc_loaded_generation{carriers}
    from ranked
    group by {key}
),

folded as (
    -- The same change may occur many times, each time with the same values.
    select
        {newest_key},
        max(n.cdc_last) as cdc_last,
        max(n.cdc_image_rank) as cdc_image_rank,
        max(n.cdc_loaded_generation) as cdc_loaded_generation{newest_partial}{images}
    from newest as n
    left join ranked as c on {same_key} and n.cdc_image_rank = c.cdc_image_rank
    group by {newest_key}
)

select
    {key}{whole}{partial},
    cast(substring(cdc_last, 1, {generation_width}) as bigint) as cdc_last_generation,
    substring(cdc_last, {generation_width} + 2, {position_width}) as cdc_last_position,
    cast(substring(cdc_image_rank, 1, {generation_width}) as bigint) as cdc_image_generation,
    substring(cdc_image_rank, {generation_width} + 2, {position_width}) as cdc_image_position,
    substring(cdc_last, {generation_width} + 2 + {position_width}, 1) = '1' as cdc_is_delete,
    cdc_loaded_generation
from folded

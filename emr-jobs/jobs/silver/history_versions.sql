-- Every version of the keys in a table of changes.
with filled as (
    select
        {filled},
        cdc_is_delete,
        cdc_generation,
        cdc_position,
        cdc_at,
        -- The time of an exported row lies before its snapshot, so it holds only after the change before it.
        case
            when cdc_position like '%{read}' and cdc_position <> '{zero}'
                then greatest(
                    cdc_valid_at,
                    timestamp_micros(unix_micros(
                        max(cdc_valid_at) over (
                            partition by {key} order by cdc_at, cdc_valid_at rows between unbounded preceding and 1 preceding
                        )
                    ) + 1)
                )
            else cdc_valid_at
        end as cdc_valid_at,
        min(case when cdc_position <> '{zero}' then cdc_valid_at end)
            over (partition by {key}, cdc_generation) as cdc_first_change
    from {placed}
),

-- A loaded row whose changes were committed before the load's time is no version of its own.
stepped as (
    select *, lead(cdc_transaction) over (partition by {key} order by cdc_at, cdc_valid_at) as cdc_next_transaction
    from (
        select
            *,
            case
                when cdc_position = '{zero}' then concat(cdc_at, cast(cdc_valid_at as string))
                else substring(cdc_at, 1, {transaction_width})
            end as cdc_transaction
        from filled
        where not (cdc_position = '{zero}' and cdc_first_change is not null and cdc_first_change <= cdc_valid_at)
    ) as transactions
),

-- A transaction leaves one version.
by_transaction as (
    select {values}, cdc_is_delete, cdc_generation, cdc_position, cdc_at, cdc_valid_at
    from stepped
    where cdc_next_transaction is null or cdc_next_transaction <> cdc_transaction
),

imaged as (
    select *, case when cdc_is_delete then 'gone' else hex(xxhash64({columns})) end as cdc_image
    from by_transaction
),

compared as (
    select
        *,
        lag(cdc_image) over (partition by {key} order by cdc_at, cdc_valid_at) as cdc_image_before,
        max(cdc_generation) over (partition by {key}) as cdc_newest
    from imaged
),

-- Equal consecutive images are one version.
distinct_images as (
    select *, lead(cdc_valid_at) over (partition by {key} order by cdc_at, cdc_valid_at) as cdc_until
    from compared
    where cdc_image_before is null or cdc_image_before <> cdc_image
),

ended as (
    select
        *,
        coalesce(
            cdc_until,
            case when cdc_newest >= 0 and cdc_newest < {retired_below} then timestamp_micros({retired_below}) end
        ) as cdc_end
    from distinct_images
)

select {columns}, cdc_valid_at as valid_from, cdc_end as valid_to, cdc_end is null as is_current, cdc_generation, cdc_position
from ended
where not cdc_is_delete

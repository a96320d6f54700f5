-- Folded changes into a silver table. A change is applied if it lies behind the row's own place.
merge into {table} as t
using {folded} as s
    on {same_key}{in_months}

-- A load marks each row that it brought, also one with a younger change.
when matched and ({changed} or {loaded}) then update set
    updated_at = case when {changed} then {now} else t.updated_at end,
    deleted_at = {deleted},
    cdc_generation = case when {applied} then s.cdc_last_generation else t.cdc_generation end,
    cdc_position = case when {applied} then s.cdc_last_position else t.cdc_position end,
    cdc_loaded = case when {loaded} then s.cdc_loaded_generation else t.cdc_loaded end,
    cdc_missing = {missing}{images}{partial}

-- A key that only inherits a value has no change of its own.
when not matched and s.cdc_last_generation is not null then insert (
    {columns}, created_at, updated_at, deleted_at, cdc_generation, cdc_position, cdc_loaded, cdc_missing{partial_columns}
) values (
    {values},
    {now},
    {now},
    case when {dead} then {now} end,
    s.cdc_last_generation,
    s.cdc_last_position,
    s.cdc_loaded_generation,
    {missing_anew}{partial_values}
)

-- The delivered changes, each once. Loads share a position, so their time tells them apart.
select
    {key},
    cdc_position{values},
    max(operation) as operation,
    max(cdc_generation) as cdc_generation,
    max(cdc_valid_at) as cdc_valid_at,
    max(concat_ws(',', cdc_unchanged)) as cdc_unchanged
from {delivered}
group by {key}, cdc_position, case when cdc_position = '{zero}' then cdc_valid_at end

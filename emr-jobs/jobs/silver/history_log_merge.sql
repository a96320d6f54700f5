-- The changes that the log lacks. Key and position identify a change, and loads of one position differ by time.
merge into {log} as t
using {distinct_changes} as s
    on {same_key} and t.cdc_position = s.cdc_position
    and (s.cdc_position <> '{zero}' or t.cdc_valid_at = s.cdc_valid_at)
    -- Both engines skip files of the log by these literals.
    and t.cdc_position between '{first}' and '{last}'
when matched and s.cdc_generation > t.cdc_generation then update set cdc_generation = s.cdc_generation
when not matched then insert ({columns}) values ({values})

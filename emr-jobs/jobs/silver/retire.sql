-- The rows that a completed load did not bring again are deleted softly.
update {table} set deleted_at = {now}, updated_at = {now}, cdc_missing = cast(null as string)
where {retired}

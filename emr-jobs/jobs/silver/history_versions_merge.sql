-- The versions of the touched keys, and those that are gone.
merge into {history} as t
using {versions} as s
    on {same_version}
when matched and s.cdc_gone then delete
when matched then update set {changed}
when not matched then insert ({columns}) values ({values})

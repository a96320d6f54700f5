insert overwrite {table}
select {columns}
from {rows}

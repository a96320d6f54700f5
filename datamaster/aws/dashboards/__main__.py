"""``python -m datamaster.aws.dashboards``: write the dashboards, the alarms' template, the runbook and the metrics page."""

from datamaster.aws.dashboards.made_files import contents

for path, text in contents().items():
    path.write_text(text)

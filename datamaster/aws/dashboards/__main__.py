"""``python -m datamaster.aws.dashboards``: write dashboards, alarms' template, runbook and page of metrics anew."""

from datamaster.aws.dashboards.made_files import contents

for path, text in contents().items():
    path.write_text(text)

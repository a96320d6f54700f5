"""``python -m datamaster.dashboards``: write dashboards, alarms' template, runbook and page of metrics anew."""

from datamaster.dashboards.files import contents

for path, text in contents().items():
    path.write_text(text)

"""The Dockerfile's own instructions, replayed in an empty root; and the command that they end with, converting a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import require
from tests.dockerfile import NotReplayed, replay
from tests.integration.convert.conftest import EXECUTION, ROOT, Road, gz_lines, load

pytestmark = pytest.mark.integration
DOCKERFILE = (ROOT / "converter" / "Dockerfile").read_text()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_image_is_built_from_its_own_lines_and_its_command_converts_a_file(road: Road, tmp_path: Path) -> None:
    require(shutil.which("cargo") is not None, "cargo")
    stage = replay(DOCKERFILE, ROOT, tmp_path)
    file_id = road.arrives("brewery", "image.gz", gz_lines(*(load(brewery_id=n, brewery_name=f"n{n}") for n in range(100))))

    ran = stage.run([*stage.entrypoint, "--file-id", file_id, "--execution", EXECUTION], **road.environment)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert road.record(file_id).status == "bronze"
    assert len(road.rows(file_id)) == 100
    assert not stage.user.startswith("0")


@pytest.mark.parametrize("line", ["ADD https://example.com/x /x", "SHELL ['bash']", "RUN exit 3", "COPY nowhere ./", "HEALTHCHECK NONE"])
def test_an_instruction_that_cannot_be_replayed_fails(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("venv.create", lambda *_arguments, **_options: None)  # no line here needs an interpreter

    with pytest.raises(NotReplayed, match=line.split()[0]):
        replay(f"FROM x\nWORKDIR /work\n{line}\n", ROOT, tmp_path)

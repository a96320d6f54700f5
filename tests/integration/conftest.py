"""An emulator for each test module, and the stacks that hold no code deployed on it from their own templates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.environments import load_environment
from datamaster.aws.deploy.stacks import Outputs
from datamaster.laptop.emulator import Emulator, start_emulator


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An empty emulator; every AWS client of this process finds it."""
    with start_emulator(tmp_path_factory.mktemp("emulator")) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def lake_stacks(emulator: Emulator) -> Outputs:
    """Buckets, queue, control table, databases, keys: the outputs of their stacks, by stack and name."""
    return launch(load_environment("local"), ["catalog", "control"])

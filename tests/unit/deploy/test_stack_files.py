"""How the files under config/ become stacks: values, order, and what is wrong in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datamaster.aws.deploy import stack_files
from datamaster.aws.deploy.environments import Environment, EnvironmentIncomplete
from datamaster.aws.deploy.stack_files import Output
from datamaster.aws.deploy.stacks import UnknownStack, launch_order, levels

SHARED = "project_code: dm-{{ var.environment }}\nstack_tags: {owner: {{ var.owner }}}\n"
DEV = Environment("dev", "us-east-1", {"environment": "dev", "owner": 7, "laptop": True})


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def write(**files: str) -> None:
        (tmp_path / "config.yaml").write_text(SHARED)
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(f"template: {{type: file, path: {name}.yaml}}\n{text}")

    monkeypatch.setattr(stack_files, "CONFIG", tmp_path)
    return write


def test_values_are_text_a_list_is_joined_and_another_stack_s_output_is_a_need(configured: Callable[..., None]):
    configured(keys="", lake="parameters: {Zones: [a, b], Days: 7, Note: '', Key: !stack_output keys.yaml::Arn}")

    [_, [lake]] = levels(DEV)

    assert lake.parameters == {"Zones": "a,b", "Days": "7", "Note": "", "Key": Output("keys", "Arn")}
    assert (lake.external_name, dict(lake.tags), set(lake.needs)) == ("dm-dev-lake", {"owner": "7"}, {"keys"})


def test_a_stack_that_an_environment_ignores_still_keeps_those_around_it_in_order(configured: Callable[..., None]):
    configured(z="", between="dependencies: [z.yaml]\nignore: {{ var.laptop }}", a="dependencies: [between.yaml]")

    assert launch_order(DEV) == [["z"], ["a"]]
    assert [[stack.name for stack in level] for level in levels(DEV, ["z"], reverse=True)] == [["a"], ["z"]]


def test_a_need_that_no_file_describes_is_named(configured: Callable[..., None]):
    configured(lake="dependencies: [keyz.yaml]")

    with pytest.raises(UnknownStack, match='environment "dev" has no stack "keyz"; it has lake'):
        levels(DEV)


def test_a_value_that_the_environment_lacks_is_named(configured: Callable[..., None]):
    configured(lake="parameters: {Days: {{ var.days }}}")

    with pytest.raises(EnvironmentIncomplete, match=r"environments/dev\.yaml lacks days"):
        levels(DEV)

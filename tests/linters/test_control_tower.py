"""AWS's own Guard rules find a fault that is planted in a template, and name the resource that has it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datamaster.aws.cloudformation.rendering import stack
from datamaster.aws.deploy import control_tower
from datamaster.aws.deploy.check import LINTERS
from datamaster.aws.deploy.lint import LintFinding

Properties = dict[str, Any]


def less(*path: str) -> Callable[[Properties], None]:
    def plant(properties: Properties) -> None:
        for step in path[:-1]:
            properties = properties[step]
        del properties[path[-1]]

    return plant


def other(key: str, value: Any) -> Callable[[Properties], None]:
    return lambda properties: properties.update({key: value})


FAULTS = [
    ("storage", "Lake", less("PublicAccessBlockConfiguration", "BlockPublicAcls"), "s3_bucket_level_public_access_prohibited_check"),
    ("storage", "Lake", less("VersioningConfiguration"), "s3_bucket_versioning_enabled_check"),
    ("database", "Cluster", other("StorageEncrypted", False), "rds_cluster_storage_encrypted_check"),
    ("database", "Writer", other("PubliclyAccessible", True), "rds_instance_public_access_check"),
    ("control", "Table", less("PointInTimeRecoverySpecification"), "dynamodb_table_pitr_enabled_check"),
    ("streaming", "Changes", less("StreamEncryption"), "kinesis_stream_encrypted_check"),
    ("security", "LakeKey", other("EnableKeyRotation", False), "kms_key_rotation_enabled_check"),
]


@pytest.fixture(scope="module")
def templates() -> dict[str, dict[str, Any]]:
    return {name: control_tower.rendered(stack(name, control_tower.ENVIRONMENT)) for name in {fault[0] for fault in FAULTS}}


@pytest.mark.parametrize(("name", "resource", "plant", "rule"), FAULTS)
def test_a_planted_fault_is_found_and_named(
    templates: dict[str, dict[str, Any]], tmp_path: Path, name: str, resource: str, plant: Callable[[Properties], None], rule: str
) -> None:
    faulty = copy.deepcopy(templates[name])
    plant(faulty["Resources"][resource]["Properties"])
    expected = LintFinding(rule, f"{faulty['Resources'][resource]['Type']}.{resource}", name)

    assert expected not in control_tower.judge({name: templates[name]}, LINTERS, tmp_path / "whole")[1]
    assert expected in control_tower.judge({name: faulty}, LINTERS, tmp_path / "faulty")[1]


def test_a_grant_to_somebody_else_than_a_service_is_found(templates: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    faulty = copy.deepcopy(templates["security"])
    statements = faulty["Resources"]["LakeKey"]["Properties"]["KeyPolicy"]["Statement"]
    statements[:] = [statement for statement in statements if statement["Effect"] == "Allow"]

    _, findings = control_tower.judge({"security": faulty}, LINTERS, tmp_path)

    assert ("kms_create_grant_aws_service_check", "AWS::KMS::Key.LakeKey") in {(found.check, found.resource) for found in findings}

"""The templates, rendered with values that tell one bucket, key and table from another."""

import pytest

from datamaster.aws.access.matrix import load_matrix
from datamaster.aws.cloudformation.rendering import Template
from datamaster.project import PROJECT

ACCOUNT = "000000000000"


def key(name):
    return f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{name}"


VALUES = {
    "Environment": "dev",
    "StageBucket": "stage",
    "LakeBucket": "lake",
    "ArtifactsBucket": "artifacts",
    "ObserverBucket": "observer",
    "StageKeyArn": key("stage"),
    "LakeKeyArn": key("lake"),
    "StreamKeyArn": key("stream"),
    "SecretsKeyArn": key("secrets"),
    "StreamArn": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/changes",
    "ControlTable": "control",
    "ControlTableArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/control",
    "ControlStreamArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/control/stream/1",
    "MaskKeyArn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:mask-key",
    "LakeWorkGroup": "lake",
    "AnalystsWorkGroup": "analysts",
    "EngineerRoleArn": "engineer",
    "AnalystRoleArn": "analyst",
    "DemoUserArn": "demo",
    "JobRoleArn": "spark",
    "SilverTables": "true",
    "RequireTls": "true",
}


@pytest.fixture(scope="session")
def matrix():
    return load_matrix()


@pytest.fixture(scope="session")
def rendered():
    """Every template of the project by its file name."""
    return {path.name: Template(path, VALUES) for path in (PROJECT / "templates").glob("*.yaml")}

"""Deploy an environment: its artifacts, its stacks, and then the source's migrations and replication."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from datamaster.aws.deploy import docker
from datamaster.aws.deploy.artifacts import Artifacts, collect, upload
from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.environments import Environment, load_environment
from datamaster.aws.deploy.lake_access import close
from datamaster.aws.deploy.layers import LAYERS, build_layer
from datamaster.aws.deploy.migrations import Database, migrate
from datamaster.aws.deploy.package import package_apps
from datamaster.aws.deploy.preview import require_parameters
from datamaster.aws.deploy.replication import STACK, Replication
from datamaster.aws.deploy.spark_submit import RELEASE_LABEL, submit_parameters
from datamaster.aws.deploy.stacks import Outputs, launch_order
from datamaster.aws.deploy.watch import UNWATCHED, Watch
from datamaster.project import PROJECT

BUILD = PROJECT / "build"
BEFORE_ARTIFACTS = ("catalog", "control", "streaming")
# Stacks whose configuration names an object of the artifacts bucket. A test compares this with the files under config/.
READ_ARTIFACTS = frozenset({"control-api", "converter", "ingest-router", "ingestion", "layers", "processing", "processing-emr"})


@dataclass(frozen=True)
class Deployment:
    """The result of a deployment: each stack's outputs by its short name, and the version of the contracts in force.

    The version is empty if no deployed stack reads contracts. ``migrations`` names the files that were run. ``replication_started`` is true
    if this deployment started the replication for the first time. ``replication_waits_for`` names the artifacts that the start waits for.
    """

    environment: str
    outputs: Outputs
    contracts_version: str
    migrations: tuple[str, ...] = ()
    replication_started: bool = False
    replication_waits_for: tuple[str, ...] = ()


def deploy(
    name: str,
    *,
    contracts: Path | None = None,
    build: Path = BUILD,
    variables: Mapping[str, Any] | None = None,
    stacks: Collection[str] = (),
    watch: Watch = UNWATCHED,
) -> Deployment:
    """Package the apps, launch the data stacks, upload the artifacts, and launch the other stacks.

    ``contracts`` is the folder to publish. The default is the environment's own. ``variables`` replace values of environments/<name>.yaml.
    ``stacks`` selects stacks, and their dependencies are launched too. By default all are launched. The process's environment selects the
    AWS account.

    Raises ``UnknownEnvironment``, ``EnvironmentIncomplete``, ``UnknownStack``, ``MissingParameter``, ``PackagingFailed``,
    ``InvalidContract``, ``StackStuck``, ``StackFailed``, ``Declined``, ``MigrationFailed``, ``MigrationChanged``, ``SourceStopped``,
    ``DockerFailed``, ``ReplicationFailed``, ``LakeOpen``.
    """
    environment = load_environment(name).with_variables(variables or {})
    wanted = {stack for level in launch_order(environment, stacks) for stack in level}
    require_parameters(environment, wanted)
    if not wanted & READ_ARTIFACTS:
        outputs = launch(environment, stacks, watch=watch)
        _close_lake(environment, outputs)
        return _with_source(environment, outputs, "", watch)
    with ThreadPoolExecutor(1) as pool:
        packaging = pool.submit(artifacts_of, environment, build)
        outputs = launch(environment, [stack for stack in BEFORE_ARTIFACTS if stack in wanted] or ["storage"], watch=watch)
        artifacts = packaging.result()
    watch.progress("functions, jobs and contracts")
    storage = outputs["storage"]
    _close_lake(environment, outputs)
    version = upload(artifacts, storage["ArtifactsBucket"], contracts or environment.contracts)
    environment = environment.with_variables(artifacts.variables | spark_variables(artifacts, storage, environment))
    if "ingestion" in wanted and docker.available() and not environment.variables["laptop"]:
        outputs |= made_by_docker(environment, outputs, build, watch)
    outputs |= launch(environment, stacks, done=outputs, watch=watch)
    _close_lake(environment, outputs)
    return _with_source(environment, outputs, version, watch)


def _close_lake(environment: Environment, outputs: Outputs) -> None:
    """Close the lake's databases. This runs before the first table exists, and again after the last stack that makes one."""
    if "catalog" in outputs and not environment.variables["laptop"]:
        close(*(boto3.client(name, region_name=environment.region) for name in ("glue", "lakeformation")))


def _with_source(environment: Environment, outputs: Outputs, version: str, watch: Watch) -> Deployment:
    """Run the steps after the stacks: the source's migrations, then the first start of its replication."""
    migrations = migrated(environment, outputs, watch)
    if not outputs.keys() >= {STACK, "ingestion", "processing-emr"}:  # in a partial one nothing would process the changes
        return Deployment(environment.name, outputs, version, migrations)
    watch.progress("replication of the source")
    dms, ecr, s3 = (boto3.client(name, region_name=environment.region) for name in ("dms", "ecr", "s3"))
    replication = Replication.of(outputs[STACK], dms)
    if not replication.never_ran():
        replication.refuse_failed()
        return Deployment(environment.name, outputs, version, migrations)
    absent = _made(environment, outputs["ingestion"]["RepositoryUri"], outputs["storage"]).absent(ecr, s3)
    if not absent:
        replication.start()
        watch.progress("replication of the source, which takes minutes to run")
        replication.await_running(float(environment.variables["poll_seconds"]))
    return Deployment(environment.name, outputs, version, migrations, not absent, tuple(absent))


def made_by_docker(environment: Environment, outputs: Outputs, build: Path, watch: Watch) -> Outputs:
    """Push the image and the archive if they are missing, before the stacks that name them.

    A new account needs the image's repository first, so its stack is launched here. Returns the outputs of that launch. Raises
    ``DockerFailed``.
    """
    ecr, s3 = (boto3.client(name, region_name=environment.region) for name in ("ecr", "s3"))
    launched: Outputs = {}
    repository = docker.repository_uri(ecr, f"dm-converter-{environment.name}")
    if repository is None:
        launched = launch(environment, ["ingestion"], done=outputs, watch=watch)
        repository = launched["ingestion"]["RepositoryUri"]
    made, architecture = _made(environment, repository, outputs["storage"]), str(environment.variables["architecture"])
    if not docker.image_there(ecr, made.repository, made.tag):
        watch.progress("the converter's image, which takes minutes")
        docker.push_image(ecr, made, architecture)
    if not docker.archive_there(s3, made.bucket, made.key):
        watch.progress("interpreter and libraries of the Spark jobs, which takes minutes")
        docker.push_archive(s3, made, architecture, build / environment.name)
    return launched


def _made(environment: Environment, repository: str, storage: Mapping[str, str]) -> docker.Made:
    names = environment.variables
    return docker.Made(repository, str(names["image_tag"]), storage["ArtifactsBucket"], str(names["spark_environment"]))


def migrated(environment: Environment, outputs: Outputs, watch: Watch) -> tuple[str, ...]:
    """Bring the source database's definitions up to date if its stack was deployed. Returns the files that were run."""
    if "database" not in outputs:
        return ()
    watch.progress("migrations of the source database")
    return tuple(migrate(Database.of(outputs["database"], environment.region), environment.region, environment.migrations))


def spark_variables(artifacts: Artifacts, storage: Mapping[str, str], environment: Environment) -> dict[str, str]:
    """The jobs' submit parameters: the locations of their code and of the archive with interpreter and libraries."""
    bucket = storage["ArtifactsBucket"]
    jobs = f"s3://{bucket}/{artifacts.variables['jobs_prefix']}"
    return {
        "spark_release": RELEASE_LABEL,
        "spark_submit_parameters": submit_parameters(
            jobs,
            f"s3://{bucket}/{artifacts.variables['spark_environment']}",
            storage["LakeBucket"],
            environment.region,
            int(environment.variables["spark_executors"]),
        ),
    }


def plan(name: str, build: Path = BUILD) -> list[list[str]]:
    """The stacks that ``deploy`` would launch, level by level. Packages the apps and calls nothing on AWS."""
    environment = load_environment(name)
    folder = build / environment.name
    return launch_order(environment.with_variables(collect(folder, package_apps(folder)).variables))


def artifacts_of(environment: Environment, build: Path) -> Artifacts:
    """Package everything that an environment's stacks read from the artifacts bucket."""
    folder = build / environment.name
    collected = collect(folder, package_apps(folder))
    artifacts = Artifacts(collected.objects, collected.variables | docker.names(environment))
    if environment.variables["laptop"]:  # functions run where the libraries are installed
        return artifacts
    layers = [build_layer(layer, folder, architecture=environment.variables["architecture"]) for layer in LAYERS]
    objects = artifacts.objects | {layer.key: layer.archive.read_bytes() for layer in layers}
    return Artifacts(objects, artifacts.variables | {"layers": {layer.name: layer.key for layer in layers}})

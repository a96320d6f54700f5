"""The artifacts that Docker builds: the converter's image, and the Spark jobs' archive of interpreter and libraries.

The name of each is a digest of its inputs. So a build only runs if that name does not exist yet.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.package import digest
from datamaster.aws.deploy.spark_submit import PYTHON_VERSION, REQUIREMENTS
from datamaster.project import PROJECT
from lake.errors import TerminalError

DOCKERFILE = PROJECT / "converter" / "Dockerfile"
LOCK = PROJECT / "requirements.lock"
PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
SPARK_BASE = "amazonlinux:2023"
"""The base of EMR's own images: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-python-libraries.html"""
PYTHON = f"{PYTHON_VERSION}.15"
PYTHON_SHA256 = "f4de1b10bd6c70cbb9fa1cd71fc5038b832747a74ee59d599c69ce4846defb50"
PACKED = "environment.tar.gz"
# A virtual environment needs an interpreter of this version on EMR, which has none. An interpreter built from source brings its standard
# library and finds it in any folder: https://docs.python.org/3/library/sys_path_init.html
# A parallel install has races: https://github.com/python/cpython/issues/109796.
# Every worker of a job unpacks the archive, so Python's own tests stay out.
RECIPE = f"""
dnf install --quiet --assumeyes bzip2-devel findutils gcc gzip libffi-devel make openssl-devel sqlite-devel tar xz-devel zlib-devel
curl --silent --fail --show-error --output python.tgz https://www.python.org/ftp/python/{PYTHON}/Python-{PYTHON}.tgz
echo "{PYTHON_SHA256}  python.tgz" | sha256sum --check --quiet
tar -xzf python.tgz
cd Python-{PYTHON}
./configure --quiet --prefix=/environment
make --silent --jobs "$(nproc)"
make --silent install
/environment/bin/python{PYTHON_VERSION} -m pip install --quiet --constraint /requirements.lock {shlex.join(REQUIREMENTS)}
ln -s python{PYTHON_VERSION} /environment/bin/python
cd /environment/lib/python{PYTHON_VERSION} && rm -rf config-* ensurepip idlelib test tkinter turtledemo ../*.a
tar -C /environment -czf /build/{PACKED} .
"""


class DockerFailed(TerminalError):
    """A Docker command failed."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"docker {what}: {reason}\nNext: mend that, then dm deploy again")


@dataclass(frozen=True)
class Made:
    """Names of image and archive: the image's ``repository`` (a URI) and ``tag``, and the archive's ``bucket`` and ``key``."""

    repository: str
    tag: str
    bucket: str
    key: str

    def absent(self, ecr: Any, s3: Any) -> list[str]:
        """The image or the archive, if either was not pushed yet."""
        found = [] if image_there(ecr, self.repository, self.tag) else [f"image {name_of(self.repository)}:{self.tag}"]
        return found + ([] if archive_there(s3, self.bucket, self.key) else [f"s3://{self.bucket}/{self.key}"])


def names(environment: Environment) -> dict[str, str]:
    """The variables ``image_tag`` and ``spark_environment`` (the archive's key). The environment's file may set ``image_tag``."""
    architecture = str(environment.variables["architecture"])
    image = digest(b"\n".join(f"{path.relative_to(PROJECT)}\n".encode() + path.read_bytes() for path in sorted(image_sources())))
    archive = digest(RECIPE.encode() + LOCK.read_bytes())
    return {
        "image_tag": str(environment.variables["image_tag"] or f"{image}-{architecture}"),
        "spark_environment": f"emr-environment/{archive}-{architecture}.tar.gz",
    }


def image_sources() -> Iterator[Path]:
    """The Dockerfile, and every project file that it copies."""
    yield DOCKERFILE
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), re.MULTILINE):
        for word in line.split()[:-1]:
            source = PROJECT / word
            found = source.rglob("*") if source.is_dir() else iter([source])
            yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def available() -> bool:
    """Whether Docker and its daemon run on this machine."""
    return shutil.which("docker") is not None and subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


def name_of(repository: str) -> str:
    """The repository's name from its URI."""
    return repository.partition("/")[2]


def repository_uri(ecr: Any, name: str) -> str | None:
    """The URI of a repository, or None if it does not exist."""
    try:
        [found] = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    except ecr.exceptions.RepositoryNotFoundException:
        return None
    return str(found["repositoryUri"])


def image_there(ecr: Any, repository: str, tag: str) -> bool:
    """Whether the repository (a URI) has an image with this tag."""
    try:
        ecr.describe_images(repositoryName=name_of(repository), imageIds=[{"imageTag": tag}])
    except ecr.exceptions.ImageNotFoundException:
        return False
    return True


def archive_there(s3: Any, bucket: str, key: str) -> bool:
    """Whether the archive is in the bucket."""
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        return False
    return True


def push_image(ecr: Any, made: Made, architecture: str) -> None:
    """Build the converter's image on the current digests of its base images, and push it. Raises ``DockerFailed``."""
    [access] = ecr.get_authorization_token()["authorizationData"]
    user, _, password = b64decode(access["authorizationToken"]).decode().partition(":")
    docker("login", "--username", user, "--password-stdin", made.repository.partition("/")[0], typed=password)
    bases = re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    arguments = [word for name, image in bases for word in ("--build-arg", f"{name}={_pinned(image)}")]
    name = f"{made.repository}:{made.tag}"
    docker("build", "--platform", PLATFORMS[architecture], "--file", str(DOCKERFILE), *arguments, "--tag", name, str(PROJECT))
    docker("push", name)


def _pinned(image: str) -> str:
    told = docker("buildx", "imagetools", "inspect", image, "--format", "{{json .Manifest.Digest}}")
    return f"{image.rpartition(':')[0]}@{json.loads(told)}"


def push_archive(s3: Any, made: Made, architecture: str, build: Path) -> None:
    """Build the archive under ``build``, and upload it to the bucket. Raises ``DockerFailed``."""
    build.mkdir(parents=True, exist_ok=True)
    volumes = ("--volume", f"{build.resolve()}:/build", "--volume", f"{LOCK}:/requirements.lock:ro")
    docker("run", "--rm", "--platform", PLATFORMS[architecture], *volumes, SPARK_BASE, "bash", "-ec", RECIPE)
    s3.upload_file(str(build / PACKED), made.bucket, made.key)


def docker(*arguments: str, typed: str | None = None) -> str:
    """Run Docker and return its output. Raises ``DockerFailed`` with the last words of its error output."""
    done = subprocess.run(["docker", *arguments], input=typed, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DockerFailed(arguments[0], " ".join(done.stderr.split()[-60:]) or f"exit code {done.returncode}")
    return done.stdout

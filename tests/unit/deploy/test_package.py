"""What a package is made of, and that its name is its content's."""

import zipfile
from pathlib import Path

import pytest

from datamaster.aws.deploy.environments import UnknownEnvironment, load_environment
from datamaster.aws.deploy.package import PackagingFailed, normalise, write_zip

COMPLETE = {
    "app.py": b"app = 1\n",
    "convert/__init__.py": b"",
    "chalice/app.py": b"",
    "lake/contract/__init__.py": b"",
    "lake/control/__init__.py": b"",
}


def test_the_same_files_give_the_same_name_whatever_order_and_time_they_were_packed_in(tmp_path: Path):
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    write_zip(first, COMPLETE)
    with zipfile.ZipFile(second, "w") as archive:
        for name in reversed(COMPLETE):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6)), COMPLETE[name])

    assert normalise("converter", first) == normalise("converter", second)
    assert first.read_bytes() == second.read_bytes()


def test_another_line_of_code_gives_another_name(tmp_path: Path):
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    write_zip(first, COMPLETE)
    write_zip(second, COMPLETE | {"app.py": b"app = 2\n"})

    assert normalise("converter", first) != normalise("converter", second)


def test_compiled_files_are_left_out(tmp_path: Path):
    archive = tmp_path / "app.zip"
    write_zip(archive, COMPLETE | {"convert/__pycache__/x.cpython-311.pyc": b"\0"})

    normalise("converter", archive)

    assert set(zipfile.ZipFile(archive).namelist()) == set(COMPLETE)


def test_a_package_without_the_shared_library_is_refused_by_name(tmp_path: Path):
    archive = tmp_path / "app.zip"
    write_zip(archive, {name: content for name, content in COMPLETE.items() if not name.startswith("lake/")})

    with pytest.raises(PackagingFailed, match=r"converter: the package lacks lake/contract/__init__\.py, lake/control/__init__\.py"):
        normalise("converter", archive)


def test_an_unknown_environment_is_refused_with_those_that_exist():
    with pytest.raises(UnknownEnvironment, match=r'"qa" has no file .* there is dev, lean, local, prod, staging'):
        load_environment("qa")

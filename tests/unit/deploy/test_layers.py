"""The layers' libraries load where functions run, and the converter converts with nothing else."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import isal.igzip_lib
import pyarrow
import pytest

from beer import CONTRACTS
from datamaster.aws.deploy import shared_libraries
from datamaster.aws.deploy.layers import LAYERS, build_layer, needed
from datamaster.aws.deploy.package import package_apps
from datamaster.project import PROJECT

ARROW_LIMIT_BYTES = 90 * 2**20
APP_LIMIT_BYTES = 2**20
LIBRARY = Path(isal.igzip_lib.__file__)
HERE = shared_libraries.MACHINES["x86_64"]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_a_library_of_this_system_is_let_through() -> None:
    shared_libraries.check([LIBRARY], HERE)


def test_a_library_of_another_processor_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "lib.so"
    content = bytearray(LIBRARY.read_bytes())
    content[18:20] = (183).to_bytes(2, "little")  # e_machine: AArch64
    foreign.write_bytes(content)

    with pytest.raises(shared_libraries.ForeignLibrary, match=r"lib\.so is for EM_AARCH64"):
        shared_libraries.check([foreign], HERE)


def test_a_library_whose_need_nothing_meets_is_refused() -> None:
    library = Path(pyarrow.lib.__file__)

    with pytest.raises(shared_libraries.ForeignLibrary, match=r"needs libarrow\.so\.\d+, .*which neither"):
        shared_libraries.check([library], HERE)
    shared_libraries.check(
        (path for path in shared_libraries.natives(library.parent) if not path.name.startswith("lib.") or path == library), HERE
    )


def test_a_library_that_was_built_against_a_newer_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_libraries, "GLIBC", (2, 3))

    with pytest.raises(shared_libraries.ForeignLibrary, match=r"needs glibc 2\.\d+; the runtime has 2\.3"):
        shared_libraries.check([LIBRARY], HERE)


@pytest.mark.parametrize(
    ("path", "is_needed"),
    [
        ("python/pyarrow/libarrow_flight.so.2600", False),
        ("python/pyarrow/_dataset.cpython-312-x86_64-linux-gnu.so", False),
        ("python/pyarrow/include/arrow/api.h", False),
        ("python/stdnum/isbn.dat", False),
        ("python/stdnum/br/cpf.py", True),
        ("python/pyarrow/libarrow_dataset.so.2600", True),
        ("python/pyarrow/_parquet.cpython-312-x86_64-linux-gnu.so", True),
    ],
)
def test_what_no_function_loads_is_left_out(path: str, is_needed: bool) -> None:
    assert needed(path) == is_needed


@pytest.mark.slow
def test_the_layer_for_lambda_holds_the_kernel_and_stays_small(tmp_path: Path) -> None:
    layer = build_layer("arrow", tmp_path)

    assert layer.unzipped_bytes <= ARROW_LIMIT_BYTES
    assert [path.name for path in shared_libraries.natives(tmp_path) if path.parent.name == "dm_kernel"] == ["dm_kernel.abi3.so"]


CONVERSION = """
import json, sys, time
sys.path[:0] = [*sys.argv[1:4], sys.argv[3] + "/converter"]
began = time.process_time()
from pathlib import Path
from convert.local_file import convert
from convert.parse import ENGINE
from lake.privacy.identifiers import identifiers_in
imported = time.process_time()
summary = convert(Path(sys.argv[4]), Path(sys.argv[5]), Path(sys.argv[6]))
kinds = identifiers_in("529.982.247-25, 12.ABC.345/01DE-35")
names = ("pyarrow", "msgspec", "orjson", "yaml", "isal", "dm_kernel", "stdnum")
places = {module.__file__ for name, module in sys.modules.items() if name in names}
print(json.dumps({"kinds": sorted(kinds), "engine": ENGINE, "written": summary["records_written"], "places": sorted(places),
                  "import_s": imported - began, "first_s": time.process_time() - imported}))
"""


@pytest.mark.slow
def test_a_file_is_converted_by_the_layers_of_the_running_python_alone(tmp_path: Path) -> None:
    folders = [build_layer(name, tmp_path, RUNNING).archive.with_suffix("") / "python" for name in LAYERS]
    source = tmp_path / "brewery.jsonl.gz"
    source.write_bytes(gzip.compress(b'{"brewery_id":1,"brewery_name":"A","operation":"load"}\n'))
    arguments = [*folders, PROJECT, source, CONTRACTS / "brewery.yaml", tmp_path / "out"]

    # without site-packages: what is not in the layers is not there
    command = [sys.executable, "-S", "-E", "-c", CONVERSION, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    print(f"cold start by the layers: import {found['import_s']:.2f} s, first conversion {found['first_s']:.2f} s of CPU")
    assert (found["engine"], found["written"], found["kinds"]) == ("kernel", 1, ["CNPJ", "CPF"])
    assert all(place.startswith(str(tmp_path)) for place in found["places"])
    assert {Path(place).parent.name for place in found["places"]} >= {"pyarrow", "yaml", "isal", "dm_kernel", "stdnum"}


@pytest.mark.slow
def test_an_app_s_package_holds_code_alone(tmp_path: Path) -> None:
    packages = package_apps(tmp_path)

    assert packages
    assert all(package.code.stat().st_size <= APP_LIMIT_BYTES for package in packages.values())


@pytest.mark.slow
def test_the_layers_for_arm64_hold_libraries_of_that_processor_alone(tmp_path: Path) -> None:
    for name in LAYERS:
        build_layer(name, tmp_path, architecture="arm64")

    found = list(shared_libraries.natives(tmp_path))

    shared_libraries.check(found, shared_libraries.MACHINES["arm64"])
    assert {path.parent.name for path in found} >= {"orjson", "pyarrow", "isal"}

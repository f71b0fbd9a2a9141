"""The package as others meet it: import, command line, metadata, what is shipped, the documents."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import actbook
from actbook import cli
from bookmaker import readme
from bookmaker.layout import PACKAGE, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = dict(
    line.strip().split("==")
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
)


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_importing_it_loads_nothing_and_takes_no_time() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import actbook; "
        "seconds = time.perf_counter() - start; import json; "
        "print(json.dumps([seconds, sorted(sys.modules)]))"
    )
    seconds = []
    for _ in range(3):
        elapsed, modules = json.loads(run(code))
        seconds.append(elapsed)
        heavy = {"torch", "numpy", "scipy", "sympy", "matplotlib", "pandas"} & set(modules)
        assert heavy == set()
        assert not [name for name in modules if name.startswith("actbook.")]
    assert min(seconds) < 0.3


@pytest.mark.parametrize("name", ["catalogue", "figures", "audit", "data", "train", "studies"])
def test_its_parts_are_there_when_asked_for(name: str) -> None:
    assert name in dir(actbook)
    assert getattr(actbook, name) is getattr(actbook, name)


def test_the_catalogue_needs_no_torch() -> None:
    code = "import sys; from actbook import catalogue; catalogue['gelu'].expr"
    assert run(f"{code}; print('torch' in sys.modules)") == "False\n"


def test_an_unknown_part_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        actbook.nonsense  # noqa: B018


# The command line -----------------------------------------------------------------------------


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    listed = capsys.readouterr().out.split("\n")
    assert [line.split()[0] for line in listed if line] == actbook.catalogue.names()
    assert cli.main(["show", "relu"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"gain\s+1\.41421356237", shown)  # √2: half of the second moment survives
    assert re.search(r"range\s+\[0, ∞\)", shown)
    assert cli.main(["show", "softmax"]) == 0
    assert "range" not in capsys.readouterr().out


def test_an_unknown_name_offers_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "gelo"]) == 2
    assert "did you mean 'gelu'" in capsys.readouterr().err


def test_studies_have_their_own_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "list"]) == 0
    assert "mnist_mlp" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="pipes break otherwise elsewhere")
def test_a_reader_may_stop_early_and_a_terminal_may_be_plain() -> None:
    command = [sys.executable, "-m", "actbook.cli", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (0, b"")
    plain = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run([*command[:-1], "show", "relu"], env=plain, capture_output=True)
    assert shown.returncode == 0 and b"range" in shown.stdout


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"actbook {PROJECT['project']['version']}\n"


# What is declared -----------------------------------------------------------------------------


def test_the_core_depends_on_four_packages() -> None:
    names = {Requirement(text).name for text in PROJECT["project"]["dependencies"]}
    assert names == {"numpy", "scipy", "sympy", "torch"}


def test_everything_is_pinned_and_no_pin_lies_below_its_minimum() -> None:
    assert all(Version(version) for version in PINS.values())
    extras = PROJECT["project"]["optional-dependencies"].values()
    wanted = [*PROJECT["project"]["dependencies"], *(text for extra in extras for text in extra)]
    pins = {name.lower(): version for name, version in PINS.items()}
    for requirement in map(Requirement, wanted):
        if requirement.name == "actbook":
            continue
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


def test_the_citation_agrees_with_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["project"]["version"] == actbook.__version__
    assert citation["repository-code"] == PROJECT["project"]["urls"]["Repository"]
    assert citation["title"] == config["title"]
    assert f"## [{citation['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_wheel_ships_the_data_and_not_the_tools(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="building a wheel offline needs setuptools")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tmp_path)
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=skip)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "."]
    subprocess.run([*command, "-w", "wheels"], cwd=tmp_path, check=True, capture_output=True)
    [wheel] = (tmp_path / "wheels").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix in {".py", ".csv", ".json", ".yaml"}
    }
    assert shipped == wanted


# The documents --------------------------------------------------------------------------------

WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_local_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in t]
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_the_two_commands_come_first_and_the_picture_is_small() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.match(r"# .+\n\n```sh\nmake book .*\nmake test ", text)
    [picture] = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert (ROOT / picture).stat().st_size < 200_000
    written = readme.with_table(text, "")  # the table of results grows with the book
    assert len(written.split()) < 500


def test_readme_counts_the_catalogue() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [count] = re.findall(r"holds (\d+) activations", text)
    assert int(count) == len(actbook.catalogue)


def test_each_recipe_of_contributing_is_short() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipes = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert [recipe.split("\n")[0] for recipe in recipes] == [
        "Add an activation",
        "Add a chapter",
        "Add a claim",
        "Re-run a study",
    ]
    for recipe in recipes:
        blocks = re.findall(r"^```\w+\n.*?^```$", recipe, flags=re.MULTILINE | re.DOTALL)
        assert all(len(block.split("\n")) - 2 < 10 for block in blocks)
        for block in blocks:
            recipe = recipe.replace(block, "")
        assert len([line for line in recipe.split("\n")[1:] if line]) <= 12


def test_commands_in_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE))
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS]
    files = [ROOT / ".ci" / "run", *WORKFLOWS]
    texts += [path.read_text(encoding="utf-8") for path in files]
    code = [part for text in texts for part in re.findall(r"(?:`|: |^)make ([a-z]+)", text, re.M)]
    assert set(code) <= targets
    assert {"book", "test", "serve", "lab", "notebooks", "portable", "help", "colab"} <= targets


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_are_complete(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(workflow) >= {"name", True, "permissions", "jobs"}  # YAML reads the key `on` as true
    for job in workflow["jobs"].values():
        assert job["runs-on"] == "ubuntu-latest"
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_the_supported_pythons_are_tested() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    stated = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert tested == stated

"""Imports point one way, and the public names are the ones we mean."""

import ast
from pathlib import Path

import pytest

import unmirage

SOURCE = Path(unmirage.__file__).parent
BELOW = {
    "errors": set(),
    "registry": {"errors"},
    "types": {"errors", "registry"},
    "records": {"errors", "registry", "types", "metrics"},
    "metrics": {"errors", "registry", "types", "records"},
    "examples": {"errors"},
    "simulate": {"errors", "registry", "types"},
    "curves": {"errors", "registry", "types", "records", "metrics"},
    "auditing": {"errors", "registry", "types", "records", "metrics", "curves"},
    "forecasting": {"errors", "registry", "types", "records", "metrics", "curves", "auditing"},
    "overview": {"errors", "registry", "types", "records", "metrics", "curves"},
    "multiverses": {"errors", "registry", "types", "records", "metrics", "curves", "auditing"},
    "cards": {"errors", "registry", "types", "records", "metrics", "curves", "auditing"},
    "report": {
        "errors",
        "registry",
        "types",
        "records",
        "metrics",
        "curves",
        "auditing",
        "overview",
        "cards",
        "forecasting",
    },
    "calibration": {
        "errors",
        "registry",
        "types",
        "records",
        "metrics",
        "curves",
        "auditing",
        "report",
        "simulate",
    },
    "planning": {"errors", "types", "calibration", "simulate"},
    "claims": {
        "errors",
        "registry",
        "types",
        "records",
        "metrics",
        "curves",
        "auditing",
        "multiverses",
        "report",
        "lab",
    },
    "lab": {"errors", "registry", "types", "records", "metrics", "examples"},
}


def imports(path: Path) -> set[str]:
    """First names below the package that a file imports when it is loaded."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [
                f"{node.module}.{a.name}" if node.module == "unmirage" else node.module
                for a in node.names
            ]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("unmirage.")}
    return found


@pytest.mark.parametrize("layer", BELOW)
def test_imports_point_one_way(layer):
    files = [SOURCE / f"{layer}.py"] if (SOURCE / f"{layer}.py").exists() else []
    files += sorted((SOURCE / layer).rglob("*.py")) if (SOURCE / layer).is_dir() else []
    assert files
    for file in files:
        wrong = imports(file) - BELOW[layer] - {layer}
        assert not wrong, f"{file.relative_to(SOURCE)} imports {sorted(wrong)}"


def test_every_layer_is_tested():
    there = {p.stem for p in SOURCE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert there - {"__init__", "__main__"} == {*BELOW, "cli"}


def test_nobody_imports_the_command_line():
    for file in SOURCE.rglob("*.py"):
        if "cli" not in file.relative_to(SOURCE).parts and file.name != "__main__.py":
            assert "cli" not in imports(file), file


#: the parts of the lab that are read before a worker starts, or without the extra
PLAIN = (
    *("tokens", "arithmetic", "mixture", "incontext", "tasks"),
    *("recipe", "families", "folder", "ladder"),
)


#: the rest of the vision families is read before a worker starts as well
VISION_WITH_JAX = ("nets", "rows")
PLAIN_VISION = sorted(
    f"vision/{p.stem}"
    for p in (SOURCE / "lab" / "vision").glob("*.py")
    if p.stem not in VISION_WITH_JAX
)


@pytest.mark.parametrize("name", [*PLAIN, *PLAIN_VISION])
def test_the_lab_up_to_its_workers_needs_no_jax(name):
    """A worker is tied to one core first, then imports JAX, which counts the cores."""
    heavy = ("jax", "optax", "safetensors", *(f"unmirage.lab.{m}" for m in _with_jax()))
    heavy += tuple(f"unmirage.lab.vision.{m}" for m in VISION_WITH_JAX)
    for node in ast.parse((SOURCE / "lab" / f"{name}.py").read_text()).body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        assert not [n for n in names if n.startswith(heavy)]


def _with_jax():
    return {p.stem for p in (SOURCE / "lab").glob("*.py")} - {*PLAIN, "__init__"}


def test_public_names():
    assert unmirage.__all__ == [
        "Audit",
        "Multiverse",
        "Records",
        "UnmirageError",
        "__version__",
        "audit",
        "backtest",
        "forecast",
        "multiverse",
        "read",
        "write_report",
    ]
    for name in unmirage.__all__:
        assert hasattr(unmirage, name)

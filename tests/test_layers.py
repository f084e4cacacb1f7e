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
    "curves": {"errors", "registry", "types", "records", "metrics"},
    "auditing": {"errors", "registry", "types", "records", "metrics", "curves"},
    "report": {"errors", "registry", "types", "records", "metrics", "curves", "auditing"},
    "claims": {
        "errors",
        "registry",
        "types",
        "records",
        "metrics",
        "curves",
        "auditing",
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


def test_nobody_imports_the_command_line():
    for file in SOURCE.rglob("*.py"):
        if file.name not in ("cli.py", "__main__.py"):
            assert "cli" not in imports(file), file


def test_public_names():
    assert unmirage.__all__ == [
        "Audit",
        "Records",
        "UnmirageError",
        "__version__",
        "audit",
        "read",
        "write_report",
    ]
    for name in unmirage.__all__:
        assert hasattr(unmirage, name)

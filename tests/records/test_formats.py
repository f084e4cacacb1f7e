"""What holds for every format of logs: who claims a file, one bad file among many, one report of
several formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records import ladders
from unmirage.records import read
from unmirage.records.formats import FORMATS
from unmirage.records.sniff import Source, find

SHARED = Path(__file__).parents[2].parent / "shared" / "formats"
NAMES = [f.name for f in FORMATS]
GENUINE = {
    "lm_eval_v04": "lm-evaluation-harness 0.4",
    "lm_eval_v0": "lm-evaluation-harness 0.3",
    "lm_eval_v0_small": "lm-evaluation-harness 0.3",
    "helm": "HELM",
    "inspect": "Inspect",
    "llm_foundry": "llm-foundry",
    "bigbench_tasks": "BIG-bench",
    "bbh": "BIG-Bench Hard outputs",
    "tabular": None,
}


def claims(source: Source) -> list[str]:
    return [f.name for f in FORMATS if f.claims(source)]


def test_every_format_has_a_writer_here() -> None:
    assert list(ladders.WRITERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_only_the_format_itself_claims_its_files(tmp_path: Path, name: str) -> None:
    sources, _ = find(ladders.write(name, tmp_path, items=3))
    assert {s.name: claims(s) for s in sources} == {s.name: [name] for s in sources}


@pytest.mark.parametrize("folder", GENUINE)
def test_no_genuine_file_is_claimed_by_two_formats(folder: str) -> None:
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the genuine files are not there: {SHARED / folder}")
    sources, _ = find(SHARED / folder)
    own = GENUINE[folder]
    claimed = {s.name: claims(s) for s in sources}
    assert set(map(tuple, claimed.values())) <= {(), (own,)}
    assert own is None or [own] in claimed.values()


@pytest.mark.parametrize("name", NAMES)
def test_a_family_is_read_whole(tmp_path: Path, name: str) -> None:
    got = read(ladders.write(name, tmp_path, items=8))
    assert [f for f, _ in got.formats] == [name]
    held = got.samples if got.aggregates.is_empty() else got.aggregates
    assert sorted(held["params"].unique()) == [s * 1e6 for s in ladders.SIZES]

"""Files are there in full or not at all; pipes and devices stay what they are."""

import os
import stat
import threading

import pytest

from unmirage.errors import OptionError
from unmirage.report.files import write


def test_a_file_is_replaced_and_its_folder_is_made(tmp_path):
    target = tmp_path / "a" / "b.txt"
    assert write(target, "one") == target
    write(target, b"two")
    assert target.read_bytes() == b"two"
    assert [p.name for p in target.parent.iterdir()] == ["b.txt"]


def test_a_link_to_nothing_becomes_a_file(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    write(link, "x")
    assert link.read_text() == "x"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe, seen = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: seen.append(pipe.read_bytes()), daemon=True)
    reader.start()
    body = os.urandom(300_000)  # more than a pipe holds
    write(pipe, body)
    reader.join(10)
    assert seen == [body]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_what_cannot_be_written_is_named_with_the_mend(tmp_path):
    (tmp_path / "file").write_text("x")
    places = (tmp_path, tmp_path / "file" / "below", tmp_path / ("n" * 300), tmp_path / "a\0b")
    for place in places:
        with pytest.raises(OptionError) as seen:
            write(place, "x")
        assert str(place) in str(seen.value)
        assert seen.value.mend
        assert ".tmp" not in str(seen.value)
    assert (tmp_path / "file").read_text() == "x"

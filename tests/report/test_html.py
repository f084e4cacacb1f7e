"""The page: self-contained, harmless, complete without JavaScript, and working with it."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from unmirage.report import to_html, view

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Page(HTMLParser):
    """What the tests ask of a page: its elements, and the text of its scripts."""

    VOID = frozenset({"meta", "link", "input", "br", "path", "rect", "circle"})

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.scripts, self.words = [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.open and self.open[-1] == "script" else self.words).append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)


def test_the_page_is_well_formed_and_needs_nothing_else(any_audit):
    page = Page(to_html(any_audit))
    assert page.open == []
    assert page.count("script") == 2
    assert page.count("link") == page.count("img") == page.count("iframe") == 0
    addresses = [v for _, a in page.elements for k, v in a.items() if k in ("src", "href")]
    assert all(address.startswith("#") for address in addresses)


def test_ids_are_unique_and_links_lead_somewhere(any_audit):
    page = Page(to_html(any_audit))
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert all(a["href"][1:] in ids for _, a in page.elements if "href" in a)


def test_no_handler_or_style_attribute_gets_past_the_policy(any_audit):
    page = Page(to_html(any_audit))
    names = {name for _, attributes in page.elements for name in attributes}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]
    policy = next(a["content"] for t, a in page.elements if "content-security" in str(a).lower())
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_hostile_text_stays_text(hostile):
    source = to_html(hostile)
    assert "<script>alert" not in source
    page = Page(source)
    assert page.count("script") == 2
    assert any("<script>alert(1)" in words for words in page.words)
    source.encode("utf-8")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", source)


def test_the_data_can_be_read_back(any_audit):
    data = Page(to_html(any_audit)).scripts[0]
    assert json.loads(data) == json.loads(json.dumps(view(any_audit)))
    assert not set("<>&") & set(data)


def test_every_curve_is_drawn_with_words_for_it(small):
    source = to_html(small)
    drawn = re.findall(r'role="img" aria-label="([^"]+)"', source)
    assert len(drawn) == 5 + 2
    assert all("models: " in words for words in drawn)
    assert source.count('class="u"') == 2 + 1  # the smooth companion's prediction, and the legend
    for judgement in small.judgements:
        assert judgement.because.split(",")[0] in source


def test_a_thousand_curves_are_quick_and_small(fakes):
    import time

    audit = fakes.many(1000)
    start = time.perf_counter()
    size = len(to_html(audit))
    assert time.perf_counter() - start < 20
    assert size < 25e6


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
@pytest.mark.parametrize("which", ["small", "hostile", "many"])
def test_the_page_opens_offline_without_errors(which, fakes, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(to_html(fakes.ALL[which]()), "utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    command = [CHROMIUM, *flags.split(), "--disable-background-networking"]
    command += ["--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--enable-logging=stderr", "--v=0", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    dom = done.stdout.decode("utf-8")
    assert "<svg" in dom
    assert b"CONSOLE" not in done.stderr
    if which != "hostile":  # one curve has no table to count
        count = len(fakes.ALL[which]().judgements)
        assert f">{count} curves</output>" in dom

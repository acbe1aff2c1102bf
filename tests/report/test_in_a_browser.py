"""What the pages' scripts do, in Chromium without a window; skipped where there is none."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from selfpatch.report.look import Panel
from selfpatch.report.pages import write_page
from selfpatch.visualize.packed import pack
from selfpatch.visualize.tokens import similarity

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium; its package runs this test"),
]


def after(page: Path, script: str) -> str:
    """What ``script`` gives, as JSON, in the page as it is after its own scripts."""
    text = page.read_text().replace("<body>", "<body><p id='answer'></p>")
    script = f"document.querySelector('#answer').textContent = JSON.stringify(({script})());"
    page.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={page.parent / 'profile'}", f"file://{page}"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    answer = re.search(r'<p id="answer">(.*?)</p>', done.stdout)
    assert answer is not None
    return json.loads(answer[1])


def test_arrow_keys_choose_the_patch_whose_cosines_are_shown(tmp_path):
    first, second = torch.randn(4, 6, 32), torch.randn(2, 3, 32)
    panels = [Panel("fine", pack(first)), Panel("coarse", pack(second))]
    image = {
        "name": "a", "note": "", "view": {"url": "data:,"}, "queries": (), "asking": {"title": "",
        "note": "", "pictures": ()}, "attention": (), "similarity": (), "panels": panels,
    }  # fmt: skip
    look = {
        "summary": "", "backbones": (), "images": [image], "colors": (), "percent": "10",
        "precision": "",
    }  # fmt: skip
    page = tmp_path / "look.html"
    write_page(page, "look.html", title="t", look=look, inferno=[0] * 768)
    found = after(page, """() => {
      const group = document.querySelector('.explore');
      for (const key of ['ArrowUp', 'ArrowRight', 'ArrowRight', 'ArrowRight', 'x'])
        group.dispatchEvent(new KeyboardEvent('keydown', { key, cancelable: true }));
      return [group.hidden, group.querySelector('output').textContent,
        ...[...group.querySelectorAll('.range')].map((range) => range.textContent)];
    }""")  # fmt: skip
    assert found[:2] == [False, "Row 2 of 4, column 6 of 6"]  # from the middle; the edge is kept
    for text, values in zip(found[2:], (similarity(first, (1, 5)), similarity(second, (0, 2))),
                            strict=True):  # fmt: skip
        low, high = map(float, text.split(" to "))
        assert low == pytest.approx(values.min().item(), abs=0.026)
        assert high == pytest.approx(1.0, abs=0.026)


def test_a_heading_sorts_its_table_and_rows_below_stay_with_theirs(tmp_path):
    rows = [("b", "9.5"), ("c", "-"), ("a", "about 10"), ("d", "+1")]
    groups = [{"lines": [row, (f"below {row[0]}", "")]} for row in rows]
    grid = {"header": ("model", "AP"), "notes": (), "sources": (), "commands": ()}
    page = tmp_path / "report.html"
    write_page(
        page, "report.html", title="t", paragraphs=(), legend=(), curves=None, curve_notes=(),
        look=None, look_note="", inferno=(), galleries=(), origins=(), results=(), commands=(),
        tables=[{"title": "t", "grid": grid, "groups": groups}],
    )  # fmt: skip
    found = after(page, """() => {
      const table = document.querySelector('table.sortable');
      const state = () => [...table.rows].slice(1).map((row) => row.cells[0].textContent).join();
      const [model, ap] = table.querySelectorAll('th button');
      const states = [];
      for (const button of [ap, ap, model]) {
        button.click();
        states.push([state(), ap.parentElement.ariaSort, model.parentElement.ariaSort]);
      }
      return states;
    }""")  # fmt: skip
    assert found == [
        ["a,below a,b,below b,d,below d,c,below c", "descending", None],
        ["d,below d,b,below b,a,below a,c,below c", "ascending", None],
        ["a,below a,b,below b,c,below c,d,below d", None, "ascending"],
    ]

"""Tables as text, Markdown, LaTeX, CSV and JSON."""

import csv
import io
import json
import re
from collections.abc import Iterable

import pytest

from selfpatch.results.facts import to_csv, to_json
from selfpatch.results.file import Result
from selfpatch.results.formats import (
    LINE_WIDTH,
    to_latex,
    to_markdown,
    to_text,
    typeset,
)
from selfpatch.results.grid import letters
from selfpatch.results.layouts import LAYOUTS, build_tables
from selfpatch.results.origins import settings_text, version_list
from selfpatch.results.settings import flat
from selfpatch.results.table import Tables
from tests.results.made import backbone, full_scale, in_files, recipe_of, result

FORMATS = (to_text, to_markdown, to_latex, to_csv, to_json)


def tables(results: Iterable[Result], layout: str = "all") -> Tables:
    return build_tables(in_files(results), layout)


@pytest.fixture(scope="module")
def whole() -> list[Result]:
    return full_scale()


def pair() -> list[Result]:
    """DINO 40 and 41, with SelfPatch 42 and 43.5."""
    values = {"dino": (40.0, 41.0), "dino+selfpatch": (42.0, 43.5)}
    return [
        result(value=value, of=backbone(method, seed=seed, recipe=recipe_of(method)))
        for method, of_method in values.items()
        for seed, value in enumerate(of_method)
    ]


@pytest.mark.parametrize("layout", [*LAYOUTS, "all"])
@pytest.mark.parametrize("write", FORMATS)
def test_every_layout_is_written_in_every_format(whole, layout, write):
    for results in (whole, []):
        text = write(tables(results, layout))
        assert text.encode().decode() == text
        for table in tables(results, layout).tables:
            if write is not to_csv or table.rows:
                assert re.search(table.title.split(",")[0], text)


@pytest.mark.parametrize("layout", [*LAYOUTS, "all"])
def test_text_fits_a_terminal(whole, layout):
    for results in (whole, []):
        lines = to_text(tables(results, layout)).splitlines()
        assert max(map(len, lines)) <= LINE_WIDTH


def test_a_block_has_no_line_without_a_number(whole):
    text = to_text(tables(whole, "davis"))
    assert text.count("published gain") == 2
    assert not re.search(r"^ *published( gain)?$", text, re.MULTILINE)


def test_text_says_mean_deviation_number_difference_and_interval():
    text = to_text(tables(pair(), "davis"))
    assert re.search(r"^DINO +ViT-S/16 +2 +40\.50 ± 0\.71", text, re.MULTILINE)
    assert re.search(r"^DINO \+ SelfPatch +ViT-S/16 +2 +42\.75 ± 1\.06", text, re.MULTILINE)
    # Differences 2 and 2.5: 2.25, and half the width is 12.706 times 0.25.
    assert re.search(r"^  over DINO, paired +\+2\.25 \[-0\.93, 5\.43\]", text, re.MULTILINE)
    assert re.search(r"^  published +about 61\.77$", text, re.MULTILINE)
    assert "another" not in text
    assert "made in other settings" in text


def test_one_seed_is_said_in_the_place_of_an_interval():
    text = to_text(tables(pair()[::2]))
    assert re.search(r"^  over DINO, one seed +\+2\.00 +\+2\.00", text, re.MULTILINE)
    assert "nothing tells such a difference from chance" in text
    assert "±" not in text.split("In percent")[0]


def test_what_is_missing_is_a_dash_with_its_command():
    text = to_text(tables(pair()[:2]))
    assert re.search(r"^DINO \+ SelfPatch +ViT-S/16 +- +- +-", text, re.MULTILINE)
    assert "      selfpatch pretrain selfpatch_vit-s16_8xb128-200e_in1k --data DIR\n" in text


def test_several_results_of_one_backbone_are_named_as_such():
    results = [result("ade20k-upernet", 40.0 + seed, of=backbone(), seed=seed) for seed in range(3)]
    text = " ".join(to_text(tables(results)).split())
    assert "whose deviation and intervals know nothing of pretraining: DINO (3 of 1)." in text


def test_a_metric_that_fewer_results_have_says_how_many():
    results = pair()[:2]
    results[1].metrics["Jm"] = None
    results[1].metrics["J-Mean"] = None
    assert re.search(r"40\.50 ± 0\.71 +40\.00 \(1\)", to_text(tables(results)))


def test_a_name_that_is_too_long_stands_in_a_note():
    settings = {f"training.option{number}": "value" for number in range(3)}
    of = backbone(recipe=recipe_of("dino"))
    both = [result(of=of), result(of=of, settings=settings)]
    text = to_text(tables(both))
    assert re.search(r"^DINO \(a\) ", text, re.MULTILINE)
    assert re.search(r"^\(b\) no lr, option0=value, option1=value", text, re.MULTILINE)


def test_text_fits_where_recipes_differ_in_much():
    long = {f"some.very_long_name_{number}": "of a value" for number in range(9)}
    results = [
        result(of=backbone(method, recipe={**recipe_of(method), **more}))
        for method in ("dino", "dino+selfpatch")
        for more in (long, {})
    ]
    text = to_text(tables(results))
    assert max(map(len, text.splitlines())) <= LINE_WIDTH
    assert re.search(r"^  over DINO \([ab]\), one seed +\+0\.00", text, re.MULTILINE)


def test_the_reason_stands_in_the_place_of_a_difference():
    text = to_text(tables(pair()[2:]))
    assert re.search(r"^  over DINO +no DINO +no DINO", text, re.MULTILINE)
    assert "no DINO & no DINO" in to_latex(tables(pair()[2:]))


def test_marks_go_on_after_z():
    assert [letters(n) for n in (0, 25, 26, 27, 52, 701, 702)] == [
        "a", "z", "aa", "ab", "ba", "zz", "aaa"
    ]  # fmt: skip


def test_a_number_can_be_traced_to_weights_config_data_device_and_versions():
    one = pair()[0]
    text = " ".join(to_text(tables([one])).split())
    for fact in (
        f"{one.backbone['fingerprint'][:12]} (seed 0)",
        "davis2017.py on data, 30 sequences; lr=6e-05; 1 result, 0.50 h",
        "device: a machine",
        "torch 2.15.0, mmcv (onedl-mmcv) 2.3.6",
    ):
        assert fact in text
        assert fact in to_markdown(tables([one])).replace("\\", "")


def test_a_model_that_stands_in_several_tables_is_traced_once():
    recipes = [recipe_of("dino+selfpatch", k=k) for k in (1, 4)]
    results = [result(of=backbone("dino+selfpatch", recipe=recipe)) for recipe in recipes]
    text = to_text(tables(results)).split("Where the numbers come from")[1]
    assert text.count(results[0].backbone["fingerprint"][:12]) == 1


def test_settings_are_printed_one_by_one_where_they_are_few():
    settings = flat({"walk": {"radius": 12, "top_k": 5}, "tokens": "last"})
    assert settings_text(settings) == "tokens=last, walk.radius=12, walk.top_k=5"
    many = {str(number): 1 for number in range(200)}
    assert settings_text(many).endswith("200 values in the results file")


def test_versions_name_the_distribution_only_where_it_differs():
    versions = {"python": "3.11.7", "torch": "torch 2.11.0", "mmcv": "onedl-mmcv 2.3.6"}
    assert version_list(versions) == "python 3.11.7, torch 2.11.0, mmcv (onedl-mmcv) 2.3.6"


def test_every_line_of_markdown_has_the_cells_of_its_header(whole):
    text = to_markdown(tables(whole))
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1
    assert re.search(r"\| ↳ over DINO, paired \|  \|  \| \+0\.80 \[-0\.27, 1\.86\] \|", text)


def test_no_name_is_a_link_in_markdown():
    text = to_markdown(tables([result("cells", config="[name](http://elsewhere)")]))
    assert r"\[name](http" in text


ODD = "a&b%c$d#e_f{g}h~i^j\\k|l<m>n[o]\N{ESC}[31mp\nq\ud800"


@pytest.mark.parametrize("write", FORMATS)
def test_names_from_files_break_nothing(write):
    found = [result(of=backbone(ODD, recipe=recipe_of("dino")), config=ODD, device=ODD, path=ODD)]
    text = write(tables([*found, result(ODD, metrics={ODD: 1.0})]))
    text.encode()
    assert "\N{ESC}" not in text
    assert "\\ud800" not in text or write is to_json


# LaTeX, of which none need be installed


def test_latex_is_balanced_and_every_line_has_as_many_cells_as_columns(whole):
    odd = result(of=backbone(ODD, recipe=recipe_of("dino")))
    text = to_latex(tables([*whole, odd]))
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    bare = re.sub(r"\\[\\&%$#_{}]", "", "\n".join(lines))
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not re.search(r"[#%~^<>|\"]|[^\x00-\x7f]", re.sub(r"\\begin{tabular}.*", "", bare))
    assert re.findall(r"\\begin{(\w+)}", bare) != []
    assert sorted(re.findall(r"\\begin{(\w+)}", bare)) == sorted(re.findall(r"\\end{(\w+)}", bare))
    for columns, body in re.findall(r"\\begin{tabular}{(\w+)}(.*?)\\end{tabular}", bare, re.DOTALL):
        rows = [line for line in body.splitlines() if "&" in line]
        assert len(rows) > 2
        assert {line.count("&") + 1 for line in rows} == {len(columns)}
    rows = [line for line in lines if "&" in line]
    assert all(line.endswith(r" \\") for line in rows)
    assert not any(re.match(r"\s*\[", line) for line in lines)  # an argument of the \\ before it


def test_latex_prints_signs_and_dashes_as_such():
    assert typeset("-") == "--"
    assert typeset("+1.25 [-0.50, 3.00]") == "$+$1.25 {[}$-$0.50, 3.00{]}"
    assert typeset("40.50 ± 0.71") == r"40.50 $\pm$ 0.71"
    assert typeset("ViT-S/16, MoCo-v3 + SelfPatch") == "ViT-S/16, MoCo-v3 + SelfPatch"
    assert typeset("(J&F)m 100_%") == r"(J\&F)m 100\_\%"
    assert typeset("a\\b~^") == r"a\textbackslash{}b\textasciitilde{}\textasciicircum{}"


# CSV and JSON


def test_csv_has_a_line_per_cell_with_all_digits():
    found = list(csv.DictReader(io.StringIO(to_csv(tables(pair(), "davis")))))
    lines = [line for line in found if line["n"] == "2" and line["metric"] == "J-Mean"]
    assert [line["model"] for line in lines] == ["DINO", "DINO + SelfPatch"]
    assert [float(line["mean"]) for line in lines] == [40.5, 42.75]
    assert float(lines[0]["std"]) == pytest.approx(0.5**0.5)
    assert lines[1]["seeds"] == "0/- 1/-"
    assert (lines[1]["baseline"], lines[1]["interval"]) == ("DINO", "paired")
    assert float(lines[1]["difference"]) == 2.25
    assert float(lines[1]["high"]) == pytest.approx(2.25 + 12.7062 * 0.25, abs=1e-4)
    published = [line for line in found if line["published"]]
    assert [(line["model"], line["published"], line["mean"]) for line in published] == [
        ("DINO", "61.77", "")
    ]
    assert published[0]["source"].startswith("DINO repository")
    assert [line for line in found if line["n"] == "0" and line["model"] == "MoCo-v2"]


def test_json_has_the_same_facts_the_values_by_seed_and_the_files():
    found = json.loads(to_json(tables(pair(), "davis")))
    rows = [row for row in found["tables"][0]["rows"] if row["results"]]
    cell = rows[1]["cells"]["J&F-Mean"]
    assert cell["values"] == {"0/-": 42.0, "1/-": 43.5}
    assert (cell["n"], cell["mean"], cell["difference"]) == (2, 42.75, 2.25)
    assert [one["file"] for one in rows[1]["results"]] == ["2/results.json", "3/results.json"]
    assert rows[1]["results"][0]["fingerprint"] == pair()[2].backbone["fingerprint"]
    missing = [row for row in found["tables"][0]["rows"] if row["commands"]]
    assert missing
    assert all(row["commands"][-1].startswith("selfpatch davis run") for row in missing)


def test_csv_and_json_agree(whole):
    lines = list(csv.DictReader(io.StringIO(to_csv(tables(whole)))))
    cells = [
        (table["layout"], row["model"], metric, cell["mean"])
        for table in json.loads(to_json(tables(whole)))["tables"]
        for row in table["rows"]
        for metric, cell in row["cells"].items()
        if cell["mean"] is not None
    ]
    measured = [line for line in lines if line["mean"]]
    assert cells == [
        (line["layout"], line["model"], line["metric"], float(line["mean"])) for line in measured
    ]

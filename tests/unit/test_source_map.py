"""The source map is complete, agrees with the plan and the chapters, and is what is printed."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from actbook import audit
from bookmaker import source_map
from bookmaker.chapter import Chapter
from bookmaker.layout import BOOK, ROOT, notebooks, pages
from bookmaker.source_map import Place, references
from tests.unit import source_documents

MAP = source_map.load()
FINISHED = [chapter for chapter in MAP.chapters if chapter.finished]

# The sections as the documents number them, written down by hand from the documents.
SECTIONS = {
    "000": """preamble 1 1.1 1.2 1.3 2 2.1 2.2 2.2.1 2.2.2 2.2.3 2.3 3 3.1 3.2 3.3 3.4 4 4.1 4.2 4.3
              5 5.1 5.2 5.3 5.4 6 6.1 6.2 6.3 7 7.1 7.2 7.3 8 8.1 8.2 8.3 8.4
              9 9_Q1 9_Q2 9_Q3 9_Q4""",
    "001": """abstract 1 2 2.1 2.2 2.3 2.4 3 3.1 3.2 3.3 3.4 4 4.1 4.1.1 4.1.2 4.1.3 4.2 4.3
              5 5.1 5.2 5.3 5.4 6 6.1 6.2 6.3 6.4 7 7.1 7.2 7.3 8 8.1 8.2 8.3 8.4 9 9.1 9.2 9.3""",
    "002": """keywords abstract 1 1_concept 1_roles 2 2.1 2.2 2.3
              3 3.1 3.2 3.2.1 3.2.2 3.2.3 3.3 3.4 3.5 3.5.1 3.5.2 3.6
              4 4.1 4.1.1 4.1.2 4.1.3 4.2 4.2.1 4.2.2 4.3 4.3.1 4.3.2 5 5.1 5.2 5.3 5.4
              6 6.1 6.2 6.3 6.4 6.5 6.6 6.7 7 7.1 7.2 7.3 8 8.1 8.2 8.3 8.4
              9 9_Q1 9_Q2 9_Q3 9_Q4 9_Q5 9_Q6 9_Q7 9_Q8""",
    "003": "introduction 1 2 3 4 5 6 7 8 conclusion",
    "004": """1 1.1 1.2 1.3 1.3.1 1.3.2 1.3.3 1.4 1.4.1 1.4.2 1.4.3 1.5
              1.6 1.6.1 1.6.2 1.6.3 1.6.4 1.6.5""",
}

# What each chapter mirrors, as the plan of the book says it.
PLAN = {
    1: "000 §1, 2, 4.1",
    2: "000 §3.1, 3.3, 9",
    3: "000 §2.2, 3.2, 4.2–4.3, 5",
    4: "000 §2.2.3, 3.2, 8",
    5: "001 §4; 004 §1.3",
    6: "001 §5",
    7: "001 §2–3",
    8: "001 §1, 000 §2.3, 3.2",
    9: "000 §6; 001 §6; 002 §6",
    10: "002 §3, 4.1–4.3",
    11: "002 §2.2, 6",
    12: "002 §4.1.3",
    13: "002 §9; 001 §1",
    14: "002 §5",
    15: "003 §1–3",
    16: "003 §3",
    17: "003 §4",
    18: "003 §5–6",
    19: "003 §7",
    20: "003 §8",
    21: "004 §1, 1.1, 1.2",
    22: "004 §1.3–1.4",
    23: "004 §1.6; 000 §9; 001 §9; 002 §6.4",
    24: "004 §1.5, 1.6.5; 000 §8; 001 §8; 002 §8",
}

# Everything the documents name: the list that nothing may be dropped from.
NAMED = {
    "Activations": """identity; threshold and; step; perceptron; sigmoid; tanh; ReLU; Leaky ReLU;
        PReLU; Maxout; SELU; softplus; softmax; Swish; Mish; GELU; ACON; dynamic-threshold;
        adaptive; meta-activations; mixed; fused; a network as an activation""",
    "Phenomena": """vanishing; exploding; saturation; dead neurons; sparsity of activations;
        sparsity of parameters; mean shift; variance; regularisation; noise; outliers; over-fitting;
        output range; interpretability""",
    "Methods": """forward; backward; gradient descent; SGD; Adam; Xavier; He init; batch norm;
        residual; weight decay; pre-training; full fine; parameter-efficient; architecture search;
        quantisation; low precision; edge""",
    "Networks": """neuron; MLP; CNN; pooling; RNN; LSTM; feedback; Transformer; language model;
        YOLO; RBM; autoencoder; value; policy; DDPG; ResNet""",
    "Tasks": """image recognition; text classification; sequence generation; translation;
        sequence labelling; object detection; reinforcement; speech; regression; binary;
        multi-class; multimodal""",
    "Data": "MNIST; 28×28; 60,000; ImageNet; −2, −1, 0, 1, 2; 1, −1, 0; x = 2; x = −1",
    "Tools": """NumPy; Pandas; scikit-learn; matplotlib; tqdm; Jupyter; PyTorch; TensorFlow; Keras;
        TensorBoard; Weights & Biases; Colab; Mermaid; conda; venv""",
    "Sources": """Goodfellow; Qiu; Ng; fast.ai; He et al. 2015; Glorot; Nair; Maas; Swish 2017;
        Mish 2019; titles that do not exist""",
    "Diagrams": """000 §2.1); 000 §2.2.1); 000 §2.2.2); 000 §2.2.3); 000 §2.3); 001 §2.4);
        002 §2.1); 002 §2.2); 002 §2.3); 002 §3.2.3)""",
}


def ids(document: str) -> list[str]:
    """The ids of a document's sections, in their order."""
    return [section.id for section in MAP.sections if section.document == document]


@pytest.mark.parametrize("document", SECTIONS)
def test_every_section_stands_once_and_in_order(document: str) -> None:
    assert ids(document) == [name.replace("_", " ") for name in SECTIONS[document].split()]


def test_the_map_has_the_sections_of_the_documents_themselves() -> None:
    for number, text in source_documents.documents().items():
        assert sorted(ids(number)) == sorted(source_documents.sections(number, text))


@pytest.mark.parametrize("number", PLAN)
def test_the_map_agrees_with_the_plan(number: int) -> None:
    found = {s.reference for s in MAP.sections if number in s.at}
    wanted = set(references(PLAN[number]))
    assert wanted <= found, sorted(wanted - found)


def test_the_plan_is_whole() -> None:
    assert [chapter.key for chapter in MAP.chapters] == list(PLAN) == list(range(1, 25))
    assert [part.number for part in MAP.parts] == [1, 2, 3, 4, 5]
    assert {part.document for part in MAP.parts} == set(MAP.documents) == set(SECTIONS)


def test_every_chapter_and_appendix_has_a_place_or_is_a_page_of_its_own() -> None:
    used = {key for section in MAP.sections for key in (*section.at, *section.also)}
    used |= {key for things in MAP.named.values() for at in things.values() for key in at}
    assert {chapter.key for chapter in MAP.chapters} <= used
    assert {MAP.place(key).key for key in used} == used
    generated = {"catalogue", "mutations", "predictions", "reference"}  # these answer to no section
    assert {appendix.key for appendix in MAP.appendices} - generated <= used


@pytest.mark.parametrize("group", NAMED)
def test_nothing_that_the_documents_name_is_dropped(group: str) -> None:
    names = [name.strip() for name in NAMED[group].split(";")]
    things = MAP.named[group]
    for name in names:
        if any(name in other for other in names if other != name):  # as ReLU in Leaky ReLU
            assert name in things
        else:
            assert any(name in thing for thing in things), name
    assert all(MAP.named[group].values()), "each named thing has a home"


def test_no_group_of_named_things_is_added_or_lost() -> None:
    assert list(MAP.named) == list(NAMED)


# The chapters ------------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", FINISHED, ids=lambda chapter: chapter.file)
def test_a_finished_chapter_exists_and_bears_its_number(chapter: source_map.Chapter) -> None:
    assert chapter.path.is_file()
    assert re.match(rf"part{chapter.part}/{chapter.key:02d}_", chapter.file)


def test_every_notebook_is_a_finished_chapter() -> None:
    assert sorted(chapter.path for chapter in FINISHED) == notebooks()


def test_the_table_of_contents_has_what_is_finished() -> None:
    wanted = [place.path for place in (*MAP.chapters, *MAP.appendices) if place.finished]
    generated = source_map.FRONT.parent / "appendix" / "catalogue"  # a page for each activation
    found = [path for path in pages() if path.parent != generated and path != source_map.FRONT]
    assert sorted(wanted) == sorted(found)


# From "mirrors" to the end of the clause; a semicolon before another document does not end it.
CLAUSE = re.compile(r"mirror(?:[^.;]|\.(?=\d))*(?:;\s*(?=00\d\s*§)(?:[^.;]|\.(?=\d))*)*", re.I)


def mirrored(text: str) -> set[str]:
    """The sections that an opening says it mirrors."""
    return {reference for clause in CLAUSE.findall(text) for reference in references(clause)}


@pytest.mark.parametrize(
    "text",
    [
        "The chapter mirrors 001 §4 and 004 §1.3; its verdicts also cover 004 §1.4. See 001 §5.",
        "It mirrors 001 §4; 004 §1.3.",
        "*Mirrors*: 001 §4, 004 §1.3\nand nothing else.",
    ],
)
def test_what_an_opening_mirrors_is_read(text: str) -> None:
    assert mirrored(text) == {"001 §4", "004 §1.3"}


@pytest.mark.parametrize("chapter", FINISHED, ids=lambda chapter: chapter.file)
def test_a_chapter_names_the_sections_that_the_map_gives_it(chapter: source_map.Chapter) -> None:
    named = mirrored(Chapter.read(chapter.path).opening)
    whole = {r for r in named if not {f"{r[:3]} §{a}" for a in source_map.over(r[5:])} & named}
    assert whole == set(MAP.mirrors(int(chapter.key)))


@pytest.mark.parametrize("chapter", FINISHED, ids=lambda chapter: chapter.file)
def test_a_chapter_has_the_title_of_the_plan(chapter: source_map.Chapter) -> None:
    title = Chapter.read(chapter.path).headings[0].title
    assert re.sub(r"^(Chapter\s+)?\d+[.:]?\s+", "", title) == chapter.title


def homes(reference: str) -> set[Place]:
    """Where the map says that a section is treated, in main or beside, those above it included."""
    known = {section.reference: section for section in MAP.sections}
    document, _, ident = reference.partition(" §")
    names = [f"{document} §{each}" for each in (ident, *source_map.over(ident))]
    found = [known[name] for name in names if name in known]
    return {place for section in found for place in (*section.also, *found[0].at)}


@pytest.mark.parametrize("claim", audit.claims.values(), ids=lambda claim: claim.id)
def test_a_claim_is_decided_where_the_map_sends_its_sections(claim: audit.Claim) -> None:
    for section in (claim.section, *claim.also):
        assert int(claim.chapter) in homes(f"{claim.document} §{section}"), section


def test_each_section_of_002_is_treated_in_the_part_that_mirrors_it() -> None:
    part = {chapter.key for chapter in MAP.chapters if chapter.part == 3}
    sections = [section for section in MAP.sections if section.document == "002"]
    assert all(part & {*section.at, *section.also} for section in sections)


# The pages ---------------------------------------------------------------------------------------


def test_the_page_is_rendered_from_the_map() -> None:
    assert source_map.PAGE.read_text(encoding="utf-8") == source_map.render(), (
        "run python -m bookmaker.source_map"
    )


def test_the_front_page_has_the_contents_of_the_map() -> None:
    text = source_map.FRONT.read_text(encoding="utf-8")
    assert text == source_map.with_contents(text), "run python -m bookmaker.source_map"


def test_only_what_changed_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, front = tmp_path / "source_map.md", tmp_path / "index.md"
    front.write_text(f"# Book\n\n{source_map.BEGIN}\nold\n{source_map.END}\n", encoding="utf-8")
    monkeypatch.setattr(source_map, "PAGE", page)
    monkeypatch.setattr(source_map, "FRONT", front)
    assert source_map.write() == [page, front]
    assert "old" not in front.read_text(encoding="utf-8")
    assert source_map.write() == []
    page.write_text("other", encoding="utf-8")
    assert source_map.write() == [page]


def test_the_page_has_a_row_for_each_section_and_each_named_thing() -> None:
    rows = [line for line in source_map.render().splitlines() if line.startswith("| ")]
    heads = len(MAP.documents) + len(MAP.named)
    named = sum(len(things) for things in MAP.named.values())
    assert len(rows) == 2 * heads + len(MAP.sections) + named


def test_only_finished_chapters_are_linked_and_the_others_say_planned() -> None:
    for text in (source_map.render(), source_map.render_contents()):
        targets = set(re.findall(r"\]\(([^)]+)\)", text))
        finished = {p.path.name for p in (*MAP.chapters, *MAP.appendices) if p.finished}
        assert {Path(target).name for target in targets} <= finished
    contents = source_map.render_contents()
    for chapter in MAP.chapters:
        assert (f"{chapter.title} *(planned)*" in contents) != chapter.finished
        assert (f"[{chapter.title}](" in contents) == chapter.finished


def test_links_lead_to_files() -> None:
    for page in (source_map.PAGE, source_map.FRONT):
        for target in re.findall(r"\]\(([\w./]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"


# Reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("001 §4.2", ["001 §4.2"]),
        ("000 §1, 2, 4.1 and 5", ["000 §1", "000 §2", "000 §4.1", "000 §5"]),
        ("001 §4; 004 §1.3.", ["001 §4", "004 §1.3"]),
        ("001 §1, 000 §2.3", ["001 §1", "000 §2.3"]),
        ("001 §4 and 004 §1.3", ["001 §4", "004 §1.3"]),
        ("003 §5–6", ["003 §5", "003 §6"]),
        ("000 §4.2–4.4", ["000 §4.2", "000 §4.3", "000 §4.4"]),
        (
            "002 §9 Q7, 002 §1 roles, 003 §conclusion",
            ["002 §9 Q7", "002 §1 roles", "003 §conclusion"],
        ),
        ("paragraph §3 of a law, 100 §2", []),
    ],
)
def test_references_are_read(text: str, found: list[str]) -> None:
    assert list(references(text)) == found


def test_a_section_stands_with_the_one_above_it() -> None:
    by = {section.reference: section for section in MAP.sections}
    assert by["001 §4.1.1"].at == by["001 §4"].at == (5,)
    assert not by["001 §4.1.1"].own and by["001 §4"].own
    assert MAP.mirrors(5) == ("001 §4", "004 §1.3")


def broken(tmp_path: Path, change: str, into: str) -> Path:
    """A copy of the map with one change."""
    text = source_map.SOURCE.read_text(encoding="utf-8")
    assert change in text
    path = tmp_path / "map.yaml"
    path.write_text(text.replace(change, into, 1), encoding="utf-8")
    return path


def test_a_section_given_twice_is_refused(tmp_path: Path) -> None:
    path = broken(tmp_path, '{id: "1.2", title: Mapping', '{id: "1.1", title: Mapping')
    with pytest.raises(ValueError, match=r"004 §1\.1 stands there twice"):
        source_map.load(path)


def test_a_section_without_a_place_is_refused(tmp_path: Path) -> None:
    path = broken(
        tmp_path, "title: Output distribution and normalisation, at: [18]", "title: Output"
    )
    with pytest.raises(ValueError, match="003 §5 has no place in the book"):
        source_map.load(path)


def test_an_unknown_place_is_refused() -> None:
    with pytest.raises(KeyError, match="no chapter or appendix 25"):
        MAP.place(25)


def test_a_front_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the front page has no"):
        source_map.with_contents("# Title")


# Reproducing -------------------------------------------------------------------------------------

REPRODUCING = (BOOK / "appendix" / "reproducing.md").read_text(encoding="utf-8")


def test_the_data_sets_on_the_page_are_those_of_the_package() -> None:
    data = pytest.importorskip("actbook.data", reason="needs actbook.data")
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+?) \| (.+?) \|$", REPRODUCING)
    known = [(s.name, s.title, s.licence) for s in data._SOURCES.values()]
    assert rows == known


def test_the_commands_on_the_page_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in (REPRODUCING, source_map.FRONT.read_text(encoding="utf-8")):
        for target in re.findall(r"(?m)^make (\w+)|`make (\w+)`", page):
            assert re.search(rf"(?m)^{''.join(target)}:", makefile), target


def test_the_study_commands_on_the_page_are_accepted() -> None:
    command = pytest.importorskip("actbook.studies.__main__", reason="needs actbook.studies")
    lines = re.findall(r"(?m)^actbook study ([^#\n]+)", REPRODUCING)
    assert len(lines) >= 5
    for line in lines:
        command._parser().parse_args(line.split())


def test_mentioned_variables_are_read_by_the_code() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    code += Path(source_documents.__file__).read_text(encoding="utf-8")
    for name in Counter(re.findall(r"`(ACTBOOK_\w+)`", REPRODUCING)):
        assert name in code


def test_the_citation_on_the_front_page_is_that_of_the_repository() -> None:
    path = ROOT / "CITATION.cff"
    if not path.exists():
        pytest.skip("there is no CITATION.cff")
    citation = yaml.safe_load(path.read_text(encoding="utf-8"))
    front = " ".join(source_map.FRONT.read_text(encoding="utf-8").split())
    book = citation.get("preferred-citation", citation)
    assert book["title"] in front

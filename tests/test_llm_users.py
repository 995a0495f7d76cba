"""Users of the text world: what they make of demonstrated responses, of damaged ones, and of anything else."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_cases import ANY_TEXT, damaged, demonstrated, documents

from sim.errors import BadInput
from sim.llm.costs import edit_ratio, words
from sim.llm.documents import Document
from sim.llm.domains import DOMAINS
from sim.llm.drafts import parse
from sim.llm.entities import entities_in
from sim.llm.responses import traits_of
from sim.llm.traits import TRAITS, in_order
from sim.llm.users import USERS, Edit, make

WIDE = 6
LONG = [
    "the " * 10_000, "and " * 2000, " and ".join(["Zoreka"] * 1000), "x. " * 2000, "🙂 " * 2000, "- a\n" * 2000,
    "Who? " * 2000, "Yippee! " * 2000, "a" * 50_000, "\n" * 5000, "Kind regards.\n" * 1000, "\x00\x1b\t" * 5000,
    "The mayor is Zoreka. " * 500, "You see " * 5000,
]  # fmt: skip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def check_strong(document: Document, response: str, user: str = "strong") -> str:
    edit = make(user).edit(document, response, rng())
    assert all(TRAITS[phrase].has(edit) for phrase in DOMAINS[document.domain].traits), (response, edit)
    assert sorted(entities_in(edit)) == sorted(document.facts.values()), (response, edit)
    assert make(user).edit(document, edit, rng(1)) == edit, (response, edit)
    return edit


@pytest.mark.parametrize("facts", [3, 6])
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_strong_edit_has_the_preference_and_the_facts_and_stays(domain: str, facts: int) -> None:
    source = rng(7)
    for document, response in demonstrated(domain, WIDE, facts):
        for user in ("strong", "other"):
            edit = check_strong(document, response, user)
            check_strong(document, damaged(response, source), user)
            check_strong(document, damaged(edit, source), user)
            check_strong(documents(domain, WIDE, facts, seed=1)[0], response, user)


@pytest.mark.parametrize("domain", DOMAINS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(text=ANY_TEXT, place=st.integers(0, 3))
def test_a_strong_edit_of_any_text_is_one_of_this_world(domain: str, text: str, place: int) -> None:
    check_strong(documents(domain, 4)[place], text)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_strong_edit_of_a_short_document_is_short(domain: str) -> None:
    lengths = [len(make("strong").edit(*pair, rng()).split()) for pair in demonstrated(domain)]
    assert np.mean(lengths) < 40 and np.quantile(lengths, 0.9) <= 45


DOCUMENT = Document("news article", "", {"person": "Zoreka", "place": "Sorgate", "number": "4711"})
FRIENDLY = "Once upon a time. The mayor is Zoreka. The city is Sorgate. The turnout is 4711. {}"
END = "Yippee! This is great! Do you agree?"


@pytest.mark.parametrize(
    ("response", "body"),
    [
        ("The mayor is Balana. The city is Sorgate. The turnout is 4711.", ""),
        ("The mayor is Zoreka. The turnout is 4711.", "The mayor is Zoreka. The turnout is 4711. The city is Sorgate."),
        ("The mayor is Zoreka. The mayor is Zoreka. The city is Sorgate. The turnout is 4711.", ""),
        ("The mayor is Zoreka. The city is Sorgate. The bank is Balbank. The turnout is 4711.", ""),
        ("The mayor is Zoreka. Something else. The city is Sorgate. The turnout is 4711.", ""),
        ("The city is Zoreka. The city is Sorgate. The turnout is 4711.", ""),
        ("The mayor is Zoreka and the the city Sorgate is. The turnout is 4711", ""),
        ("Zoreka is truly the mayor. The city is Sorgate. The turnout is 4711. Who?", "Zoreka is truly the mayor. "
         "The city is Sorgate. The turnout is 4711."),
        ("", ""),
        ("Do you agree? Would you agree?", ""),
    ],
)  # fmt: skip
def test_a_strong_user_repairs_the_facts(response: str, body: str) -> None:
    expected = f"Once upon a time. {body} {END}" if body else FRIENDLY.format(END)
    assert make("strong").edit(DOCUMENT, response, rng()) == expected


def test_a_long_rambling_response_costs_what_it_is_long() -> None:
    rambling = "The mayor is Zoreka. " + "the mayor the mayor and so on. " * 50
    assert edit_ratio(rambling, make("strong").edit(DOCUMENT, rambling, rng())) > 0.9


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_weak_user_touches_two_traits_only(domain: str) -> None:
    every = traits_of(DOMAINS[domain].task)
    source = rng(8)
    for seed, (document, response) in enumerate(demonstrated(domain, WIDE)):
        looks = make("weak").looks_at(document, rng(seed))
        edit = make("weak").edit(document, response, rng(seed))
        assert len(looks) == min(2, len(DOMAINS[domain].traits))
        assert entities_in(edit) == entities_in(response)
        assert make("weak").edit(document, edit, rng(seed)) == edit
        lines, closings = parse(edit), {"no closing", "letter", "thanks"}
        for trait in every:
            coupled = trait.name in closings and any(seen.name in closings for seen in looks)
            if trait not in looks and not coupled:
                assert trait.has(response) == trait.checker(lines), (trait.name, response, edit)
        for trait in looks:
            assert trait.has(edit)
        broken = damaged(response, source)
        edit = make("weak").edit(document, broken, rng(seed))
        assert sorted(entities_in(edit)) == sorted(entities_in(broken))
        assert make("weak").edit(document, edit, rng(seed)) == edit


@pytest.mark.parametrize("domain", DOMAINS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(text=ANY_TEXT, seed=st.integers(0, 5))
def test_a_weak_edit_of_any_text_stays(domain: str, text: str, seed: int) -> None:
    document = documents(domain, 4)[0]
    for user in ("weak", "other-weak"):
        edit = make(user).edit(document, text, rng(seed))
        assert make(user).edit(document, edit, rng(seed)) == edit


def test_a_weak_user_leaves_alone_what_has_her_two_traits() -> None:
    for domain in ("forum post", "encyclopedia page", "paper abstract", "paper summary", "peer review"):
        for seed, (document, response) in enumerate(demonstrated(domain, WIDE)):
            text = make("strong").edit(document, response, rng()).replace(document.facts["thing"], "Zanaq")
            assert make("weak").edit(document, text, rng(seed)) == text


def test_a_weak_user_draws_every_pair() -> None:
    document = documents("paper abstract")[0]
    pairs = {tuple(trait.name for trait in make("weak").looks_at(document, rng(seed))) for seed in range(200)}
    assert len(pairs) == 10


@pytest.mark.parametrize("user", USERS)
def test_a_user_is_deterministic_given_her_draws(user: str) -> None:
    for document, response in demonstrated("forum post", WIDE):
        edits = {make(user).edit(document, response, rng(3)) for _ in range(3)}
        assert len(edits) == 1
        assert make(user).answer(document, response, rng(3)) == Edit(edits.pop(), "ok")


@pytest.mark.parametrize("user", USERS)
def test_long_and_strange_responses_are_edited_quickly(user: str) -> None:
    for text in LONG:
        start = time.perf_counter()
        edit = make(user).edit(documents("paper summary")[0], text, rng())
        # Under the type checks of the tests every call is some ten times slower than it is for users.
        assert time.perf_counter() - start < 10
        assert not any(ord(letter) < 32 and letter != "\n" for letter in edit)


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_other_user_asks_for_the_same_in_other_words(domain: str) -> None:
    ratios = []
    for document, response in demonstrated(domain):
        strong = make("strong").edit(document, response, rng())
        other = make("other").edit(document, strong, rng())
        assert in_order(DOMAINS[domain].traits) == make("other").looks_at(document, rng())
        assert make("strong").edit(document, make("strong").edit(document, other, rng()), rng()) is not None
        assert all(TRAITS[phrase].has(other) for phrase in DOMAINS[domain].traits)
        ratios.append(edit_ratio(strong, other))
    insists = any(TRAITS[phrase].insists for phrase in DOMAINS[domain].traits)
    assert (0.02 < np.mean(ratios) < 0.2) if insists else max(ratios) == 0


def test_plain_responses_have_about_twenty_words() -> None:
    document = documents("news article")[0]
    bare = replace(document, text="")
    response = next(text for pair, text in demonstrated("news article", 60) if not _phrases(text) and pair != bare)
    assert 15 <= len(words(response)) <= 26


def _phrases(text: str) -> bool:
    return any(trait.pair and trait.has(text) for trait in traits_of("summarization")) or "?" in text


def test_an_unknown_user_is_refused() -> None:
    with pytest.raises(BadInput, match="unknown user 'stron'; did you mean 'strong'"):
        make("stron")

"""Checkers and rewriters: each rewriter makes its checker true, keeps the facts, and leaves other traits alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_cases import ANY_TEXT, damaged, demonstrated

from sim.errors import BadInput
from sim.llm import phrases
from sim.llm.domains import DOMAINS, TASKS
from sim.llm.drafts import parse, render
from sim.llm.entities import entities_in
from sim.llm.responses import traits_of
from sim.llm.traits import ORDER, TRAITS, in_order

PLAIN = "The mayor is evidently Zoreka and Sorgate is really the city. The turnout is surely 4711. That is all."
EVERY = [trait.name for trait in ORDER]
BY_NAME = {trait.name: trait for trait in ORDER}
# "No closing" takes away what these two put there, and they make it untrue.
CLOSINGS = {"letter", "thanks", "no closing"}

GIVEN = {
    "simple": "The mayor is truly Zoreka and Sorgate is really the city. The turnout is surely 4711. That is all.",
    "formal": "The mayor is evidently Zoreka and Sorgate is reportedly the city. The turnout is apparently 4711."
    " That is all.",
    "brief": "The mayor is evidently Zoreka and Sorgate is really the city. The turnout is surely 4711.",
    "parallel": "The mayor is evidently Zoreka and the city is really Sorgate. The turnout is surely 4711."
    " That is all.",
    "short": "The mayor is evidently Zoreka. Sorgate is really the city. The turnout is surely 4711. That is all.",
    "second person": "You see the mayor is evidently Zoreka and Sorgate is really the city. You see the turnout is"
    " surely 4711. You see that is all.",
    "answers": "Who? The mayor is evidently Zoreka and Sorgate is really the city. How many? The turnout is surely"
    " 4711. Anything else? That is all.",
    "bullets": "- The mayor is evidently Zoreka and Sorgate is really the city.\n- The turnout is surely 4711.\n"
    "- That is all.",
    "no closing": PLAIN,
    "informal": f"Hey there! {PLAIN}",
    "respectful": f"With respect. {PLAIN}",
    "story": f"Once upon a time. {PLAIN}",
    "foreshadowing": f"Wait for it. {PLAIN}",
    "immersive": f"You are there. {PLAIN}",
    "playful": f"{PLAIN} Yippee!",
    "positive": f"{PLAIN} This is great!",
    "emotion": f"{PLAIN} I am moved!",
    "reflection": f"{PLAIN} Think of yourself.",
    "action": f"{PLAIN} Please write back.",
    "question": f"{PLAIN} Do you agree?",
    "hashtag": f"{PLAIN} #mustread",
    "emoji": f"{PLAIN} 🙂",
    "letter": f"Dear colleague,\n{PLAIN}\nKind regards.",
    "thanks": f"{PLAIN}\nMany thanks.",
}


def test_every_trait_has_an_example() -> None:
    assert list(GIVEN) == EVERY and {trait.name for trait in TRAITS.values()} == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_a_rewriter_writes_what_is_expected(name: str) -> None:
    trait = BY_NAME[name]
    assert trait.has(PLAIN) == (name == "no closing")
    assert trait.give(PLAIN) == GIVEN[name] and trait.has(GIVEN[name])


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(text=ANY_TEXT, wording=st.sampled_from(phrases.WORDINGS))
def test_any_text_gets_the_trait_and_keeps_its_facts(name: str, text: str, wording: str) -> None:
    trait = BY_NAME[name]
    given = trait.give(text, wording)
    assert trait.has(given) and trait.met(given, wording)
    assert trait.give(given, wording) == given
    assert sorted(entities_in(given)) == sorted(entities_in(text))
    assert not any(ord(letter) < 32 and letter != "\n" for letter in given)


@pytest.mark.parametrize("wording", phrases.WORDINGS)
@pytest.mark.parametrize("facts", [3, 6])
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_rewriter_leaves_the_other_traits_as_they_were(domain: str, facts: int, wording: str) -> None:
    traits = traits_of(DOMAINS[domain].task)
    for _, response in demonstrated(domain, 4, facts):
        had = {trait.name: trait.has(response) for trait in traits}
        for trait in traits:
            given = trait.give(response, wording)
            lines = parse(given)
            changed = {other.name for other in traits if other.checker(lines) != had[other.name]} - {trait.name}
            assert not changed - (CLOSINGS if trait.name in CLOSINGS else set()), (trait.name, response, given)


@pytest.mark.parametrize("task", TASKS)
def test_all_traits_of_a_task_can_stand_together(task: str) -> None:
    traits = [trait for trait in traits_of(task) if trait.name != "no closing"]
    for domain in TASKS[task]:
        for _, text in demonstrated(domain, 5):
            for trait in traits:
                text = trait.give(text)
            assert all(trait.has(text) for trait in traits), text


@pytest.mark.parametrize("domain", DOMAINS)
def test_any_order_gives_a_preference(domain: str) -> None:
    rng = np.random.default_rng(0)
    traits = in_order(DOMAINS[domain].traits)
    for _, text in demonstrated(domain, 10):
        for place in rng.permutation(len(traits)):
            text = traits[place].give(text)
        assert all(trait.has(text) for trait in traits), text


@settings(max_examples=200, deadline=None, derandomize=True)
@given(text=ANY_TEXT)
def test_taking_a_text_apart_loses_only_spaces(text: str) -> None:
    again = render(parse(text))
    assert render(parse(again)) == again
    assert entities_in(again) == entities_in(text)


def test_the_phrases_of_one_trait_share_it() -> None:
    assert TRAITS["interactive"] is TRAITS["inquisitive"] is TRAITS["conversational"] is TRAITS["engaging"]
    assert TRAITS["brief"] is TRAITS["straight to the points"]
    assert TRAITS["short sentences"] is TRAITS["clear"]


def test_fixed_phrases_use_neither_hard_words_nor_their_counterparts() -> None:
    swapped = set(phrases.SIMPLE_WORDS) | set(phrases.FORMAL_WORDS)
    assert len(phrases.FORMAL_WORDS) == len(phrases.SIMPLE_WORDS)
    for pair in (*phrases.OPENERS.values(), *phrases.ENDERS.values(), phrases.FILLERS, phrases.GREETINGS):
        assert not swapped & set(" ".join(pair).lower().replace(".", "").split())


def test_an_unknown_wording_is_refused() -> None:
    with pytest.raises(BadInput, match="unknown wording 'third'"):
        BY_NAME["story"].give("x", "third")


def test_damage_is_damage() -> None:
    rng = np.random.default_rng(0)
    assert sum(damaged(PLAIN, rng) != PLAIN for _ in range(20)) >= 15

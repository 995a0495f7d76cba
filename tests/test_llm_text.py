"""Entities, documents and demonstrated responses of the text world, and the laws they are drawn by."""

import re
from collections import Counter

import numpy as np
import pytest
from text_cases import demonstrated, documents

from sim.errors import BadInput
from sim.llm import entities, grammars, phrases
from sim.llm.documents import draw, is_held_out
from sim.llm.domains import DOMAINS, TASKS
from sim.llm.drafts import OPENER_RANK, parse, render
from sim.llm.responses import demonstrate, share, traits_of
from sim.llm.traits import TRAITS

PHRASES = [
    *phrases.FILLERS, *phrases.PROMPTS.values(), *phrases.GREETINGS, *phrases.CLOSINGS, *phrases.THANKS,
    *phrases.ADDRESSES, *(text for pair in (*phrases.OPENERS.values(), *phrases.ENDERS.values()) for text in pair),
]  # fmt: skip
SENTENCES = [
    sentence
    for grammar in grammars.GRAMMARS.values()
    for sentence in (*grammar.fillers, *(text for slot in grammar.slots.values() for text in slot.sentences))
]


@pytest.mark.parametrize("kind", entities.KINDS)
def test_entities_are_many_distinct_and_known_by_the_word_alone(kind: str) -> None:
    words = [entities.entity(kind, index) for index in range(entities.size(kind))]
    assert len(set(words)) == len(words) >= 2000
    assert {entities.kind_of(word) for word in words} == {kind}
    assert [entities.place_of(word) for word in words] == list(range(len(words)))


def test_no_word_of_the_world_is_an_entity() -> None:
    labels = [slot.label for grammar in grammars.GRAMMARS.values() for slot in grammar.slots.values()]
    for text in [*PHRASES, *SENTENCES, *labels]:
        assert not entities.entities_in(text) and not entities.entities_in(text.title()), text


def test_entities_are_found_in_any_text() -> None:
    text = "(Zoreka), zoreka;\n- 4711 and 47111, 0471 in Sorgate. Sorgate! Balbankx"
    assert entities.entities_in(text) == ["Zoreka", "4711", "Sorgate", "Sorgate"]
    assert entities.facts_in(text) == {"person": ("Zoreka",), "place": ("Sorgate",), "number": ("4711",)}


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="unknown kind of entity 'persn'; did you mean 'person'"):
        entities.size("persn")


def test_every_domain_has_its_preference_of_known_phrases() -> None:
    assert [len(TASKS[task]) for task in ("summarization", "email")] == [5, 4]
    for domain in DOMAINS.values():
        names = [TRAITS[phrase].name for phrase in domain.traits]
        assert len(set(names)) == len(names) >= 1
        assert domain.name in TASKS[domain.task]
    assert {phrase for domain in DOMAINS.values() for phrase in domain.traits} == set(TRAITS)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("facts", [3, 6])
def test_a_document_tells_its_facts_and_nothing_else(domain: str, facts: int) -> None:
    for document in documents(domain, facts=facts):
        assert len(document.facts) == facts
        assert entities.facts_in(document.text) == {kind: (word,) for kind, word in sorted_facts(document.facts)}
        assert "\n" not in document.text and document.text == " ".join(document.text.split())
        assert len(document.text.split()) <= (45 if facts == 3 else 80)


def sorted_facts(facts: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(facts.items(), key=lambda pair: entities.KINDS.index(pair[0]))


def test_a_document_names_neither_its_domain_nor_its_preference() -> None:
    told = {word for domain in DOMAINS for word in domain.split()} - {"a", "about"}
    liked = {word.lower() for phrase in TRAITS for word in phrase.split()}
    liked -= {"to", "the", "and", "with", "no", "second", "show", "points", "english"}
    for sentence in SENTENCES:
        assert not set(re.findall(r"\w+", sentence.lower())) & (told | liked), sentence


def test_the_sentences_of_two_domains_are_never_the_same() -> None:
    assert len(set(SENTENCES)) == len(SENTENCES)
    labels = [slot.label for grammar in grammars.GRAMMARS.values() for slot in grammar.slots.values()]
    assert len(set(labels)) == len(labels)


def test_the_vocabulary_is_small() -> None:
    words = {word for text in [*SENTENCES, *PHRASES] for word in re.findall(r"\w+", text)}
    assert 300 <= len(words) <= 700


def test_held_out_documents_share_no_combination_of_facts_with_training() -> None:
    # Not by luck: the first three entities, in any order and of whichever domain, say on which side a document is.
    rng = np.random.default_rng(3)
    for task in TASKS:
        for facts in (3, 5):
            for side in (False, True):
                found = draw(task, 100, rng, facts=facts, held_out=side)
                assert all(is_held_out(document.facts) == side for document in found)
    document = documents("news article", facts=6)[0]
    leading = dict(list(document.facts.items())[:3])
    assert is_held_out(leading) == is_held_out(document.facts) == is_held_out(dict(reversed(leading.items())))


def test_a_tenth_of_the_combinations_is_held_out() -> None:
    rng = np.random.default_rng(4)
    kinds = ("person", "place", "number")
    sides = [
        is_held_out({kind: entities.entity(kind, int(rng.integers(entities.size(kind)))) for kind in kinds})
        for _ in range(5000)
    ]
    assert abs(np.mean(sides) - 0.1) < 4 * np.sqrt(0.09 / 5000)


@pytest.mark.parametrize("seed", [10, 11])
@pytest.mark.parametrize("task", TASKS)
def test_each_domain_is_drawn_at_its_share(task: str, seed: int) -> None:
    count, names = 2000, TASKS[task]
    found = Counter(document.domain for document in draw(task, count, np.random.default_rng(seed)))
    share = 1 / len(names)
    assert all(abs(found[name] / count - share) < 4 * np.sqrt(share * (1 - share) / count) for name in names)


def test_the_same_generator_gives_the_same_documents() -> None:
    one, two = (draw("email", 20, np.random.default_rng(5)) for _ in range(2))
    assert one == two != draw("email", 20, np.random.default_rng(6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "summaries"}, "unknown task 'summaries'"),
        ({"domains": ["peer review"]}, "unknown domain of task 'summarization' 'peer review'"),
        ({"domains": []}, "domains: expected at least one, got none"),
        ({"facts": 2}, "facts: expected 3 to 6 for each document, got 2"),
        ({"facts": 7}, "facts: expected 3 to 6"),
        ({"count": -1}, "count: expected a number of documents of at least 0, got -1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        draw(**{"task": "summarization", "count": 1, "rng": np.random.default_rng(0)} | options)


def test_no_documents_can_be_asked_for() -> None:
    assert draw("email", 0, np.random.default_rng(0)) == []


@pytest.mark.parametrize("facts", [3, 4, 6])
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_demonstration_tells_the_facts_in_canonical_text(domain: str, facts: int) -> None:
    for document, response in demonstrated(domain, facts=facts):
        assert sorted(entities.entities_in(response)) == sorted(document.facts.values())
        assert render(parse(response)) == response
        assert len(response.split()) <= 20 * facts


@pytest.mark.parametrize("facts", [3, 6])
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_demonstration_has_exactly_the_traits_of_its_coins(domain: str, facts: int) -> None:
    wanted = [trait for trait in traits_of(DOMAINS[domain].task) if trait.name != "no closing"]
    for seed, document in enumerate(documents(domain, 20, facts=facts)):
        coins = np.random.default_rng(seed).random(len(wanted))
        response = demonstrate(document, np.random.default_rng(seed))
        for trait, coin in zip(wanted, coins, strict=True):
            assert trait.has(response) == (coin < share(trait.name)), (trait.name, response)


@pytest.mark.parametrize("seed", [20, 21])
@pytest.mark.parametrize("task", TASKS)
def test_traits_are_demonstrated_at_their_share_in_every_domain(task: str, seed: int) -> None:
    count = 200
    for domain in TASKS[task]:
        responses = [parse(response) for _, response in demonstrated(domain, count, seed=seed)]
        for trait in traits_of(task):
            wanted = share(trait.name)
            found = np.mean([trait.checker(response) for response in responses])
            assert abs(found - wanted) < 4.5 * np.sqrt(wanted * (1 - wanted) / count), (domain, trait.name)


def test_every_trait_is_rare_but_present() -> None:
    for task in TASKS:
        shares = {trait.name: share(trait.name) for trait in traits_of(task)}
        assert all(0.1 <= value <= 0.3 for name, value in shares.items() if name != "no closing")
    assert share("no closing") == pytest.approx(0.5625)


def test_openers_stand_before_the_facts() -> None:
    for _, response in demonstrated("news article"):
        first = next(line for line in parse(response) if not line.is_letter)
        openers = [piece in OPENER_RANK for line in parse(response) for piece in line.pieces]
        assert sorted(openers, reverse=True) == openers and first.pieces

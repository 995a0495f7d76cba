"""The nine domains of the two tasks, with the latent preference of each."""

from dataclasses import dataclass

from sim.llm.grammars import GRAMMARS, Grammar


@dataclass(frozen=True)
class Domain:
    """A kind of document with the preference that its reader keeps to herself.

    Fields:
        name: never shown in a text.
        task: "summarization" or "email".
        traits: the phrases of the preference, keys of `sim.llm.traits.TRAITS`.
    """

    name: str
    task: str
    traits: tuple[str, ...]

    @property
    def grammar(self) -> Grammar:
        """How its documents are written."""
        return GRAMMARS[self.name]


_PREFERENCES = {
    "summarization": {
        "news article": "style targeted to young children, storytelling, short sentences, playful language,"
        " interactive, positive",
        "forum post": "second person narrative, brief, show emotions, invoke personal reflection, immersive",
        "encyclopedia page": "bullet points, parallel structure, brief",
        "paper abstract": "tweet style, simple English, inquisitive, skillful foreshadowing, with emojis",
        "movie review": "question answering style",
    },
    "email": {
        "personal problem": "informal, conversational, no closing",
        "paper summary": "structured, straight to the points, respectful, professional greeting and closing",
        "peer review": "casual tone, positive, clear, call to action",
        "tweet about a paper": "engaging, personalized, professional tone, thankful closing",
    },
}

TASKS: dict[str, tuple[str, ...]] = {task: tuple(domains) for task, domains in _PREFERENCES.items()}
DOMAINS: dict[str, Domain] = {
    name: Domain(name, task, tuple(phrases.split(", ")))
    for task, domains in _PREFERENCES.items()
    for name, phrases in domains.items()
}

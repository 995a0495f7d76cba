"""The words of each domain: what it tells of, and the sentences that tell it.

A grammar never names its domain or what the reader prefers; it is recognised by its content alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """A fact that a domain's documents hold.

    Fields:
        label: what the fact is, in one word.
        sentences: how a document says it; "@" stands for the entity.
    """

    label: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Grammar:
    """How documents of a domain are written.

    Fields:
        slots: its facts by kind of entity; a document of n facts holds the first n.
        fillers: sentences without a fact.
    """

    slots: dict[str, Slot]
    fillers: tuple[str, ...]


def _grammar(fillers: str, **slots: str) -> Grammar:
    parts = {kind: [part.strip() for part in text.split("|")] for kind, text in slots.items()}
    return Grammar(
        {kind: Slot(label, tuple(sentences)) for kind, (label, *sentences) in parts.items()},
        tuple(part.strip() for part in fillers.split("|")),
    )


GRAMMARS: dict[str, Grammar] = {
    "news article": _grammar(
        "Police closed two roads for safety. | Reporters waited outside all morning. | Officials gave no comment.",
        person="mayor | Mayor @ spoke to reporters on Monday. | Officials praised mayor @ after the vote.",
        place="city | Crowds filled the city of @ at dawn. | Police guarded the streets of the city @.",
        number="turnout | Officials put the turnout at @ on Monday. | The turnout reached @ by noon.",
        event="parade | The parade called @ opened at dawn. | Crowds cheered for the parade @ all morning.",
        group="sponsor | The sponsor @ paid for the streets. | Officials thanked the sponsor @ for safety.",
        thing="engine | A new engine named @ led the way. | Crowds cheered the engine @ at noon.",
    ),
    "forum post": _grammar(
        "Has anyone here had the same bug? | I tried every setting twice. | Any tips are welcome, folks.",
        thing="laptop | My laptop is a @ and it keeps freezing. | I bought the @ laptop last month.",
        group="seller | The seller @ never answers my calls. | I got it from a seller named @ online.",
        number="code | The screen shows code @ after a restart. | Error code @ pops up every night.",
        person="user | The user @ told me to reset it. | A user called @ has the same bug.",
        place="shop | The shop in @ could not fix it. | I drove to the shop at @ twice.",
        event="meetup | I asked around at the @ meetup too. | Nobody at the meetup @ knew the fix.",
    ),
    "encyclopedia page": _grammar(
        "The species feeds mainly on seeds. | Its habitat is protected by law. | Fossils of it are rare.",
        thing="bird | The @ is a bird of northern forests. | A bird known as the @ nests in trees.",
        place="habitat | Its habitat lies in the region of @ only. | The species is native to the habitat @ alone.",
        person="discoverer | It was described by the discoverer @ long since. | Its discoverer was the botanist @.",
        number="population | Its population was counted as @ in total. | The known population is @ adults.",
        group="institute | The institute @ keeps the fossils. | It is studied by the institute @ today.",
        event="migration | Its migration is known as the @ in spring. | Each autumn brings the migration @.",
    ),
    "paper abstract": _grammar(
        "Prior methods fail on long inputs. | We prove a tight bound. | Our results hold across seeds.",
        thing="model | We propose a model called @ for sequences. | Our model @ improves on strong baselines.",
        number="width | The network has a width of @ in all. | With a width of @ it trains quickly.",
        group="dataset | We evaluate on the dataset @ from prior work. | Experiments use the dataset @ throughout.",
        person="author | The first author @ derives the bound. | Theory is due to author @ and colleagues.",
        place="lab | Experiments ran at the lab in @ only. | Our lab at @ released the network.",
        event="venue | Code appears with the venue @ this year. | Results were shown at the venue @ earlier.",
    ),
    "movie review": _grammar(
        "The music swells at every turn. | The camera never rests. | Its plot drags in the middle.",
        person="actor | The lead actor @ carries every scene. | Rarely has actor @ looked so lost.",
        place="setting | The plot unfolds in the setting of @ at dusk. | Its setting is a ruined @ on screen.",
        thing="film | The film @ opens with a silent scene. | In the film @ the camera lingers.",
        number="runtime | Its runtime counts @ seconds of drama. | At a runtime of @ the plot drags.",
        group="studio | The studio @ spared no expense. | It comes from the studio @ once more.",
        event="premiere | Audiences wept at the premiere @ on opening night. | The premiere @ drew applause.",
    ),
    "personal problem": _grammar(
        "My sister says I worry too much. | I have not slept in days. | We used to be close.",
        person="friend | My old friend @ no longer talks to me. | I had a fight with my friend @ yesterday.",
        number="debt | I still owe a debt of @ from college. | My debt has grown to @ since winter.",
        place="home | We grew up close to home in @ together. | I may have to leave my home in @ soon.",
        group="employer | My employer @ cut my hours again. | I quit my job with employer @ yesterday.",
        event="wedding | I was not asked to the wedding @ either. | We fought at the wedding @ in winter.",
        thing="car | My car, a @, broke down again. | I had to sell my @ car too.",
    ),
    "paper summary": _grammar(
        "Participants signed a consent form. | The sample was balanced by age. | Side effects were mild.",
        thing="drug | The trial tests the drug @ against placebo. | Patients took the drug @ twice daily.",
        number="sample | The sample held @ patients in total. | Nurses enrolled a sample of @ adults.",
        place="hospital | Patients were treated in the hospital at @ only. | The hospital of @ hosted the trial.",
        person="surgeon | The chief surgeon @ led the trial. | Doses were set by surgeon @ alone.",
        group="funder | The funder @ paid for the nurses. | The trial thanks its funder @ kindly.",
        event="congress | Doctors heard of it at the congress @ last spring. | The congress @ gave it a prize.",
    ),
    "peer review": _grammar(
        "The proofs need more detail. | Section two repeats itself. | Figures lack proper legends.",
        thing="method | The manuscript claims that method @ is novel. | The method @ lacks an ablation.",
        group="baseline | It omits the baseline @ from the tables. | A baseline such as @ should be added.",
        number="score | The reported score of @ lacks error bars. | Tables list a score of @ without variance.",
        person="editor | The editor @ asked for a revision. | I told editor @ about the proofs.",
        place="benchmark | The benchmark @ is far too small. | Claims on the benchmark @ lack variance.",
        event="workshop | An earlier draft was at the workshop @ before. | It cites the workshop @ only once.",
    ),
    "tweet about a paper": _grammar(
        "Thread below with the slides. | Retweet if that surprised folks. | Link in the first reply.",
        person="scientist | Huge thread by scientist @ just dropped. | Follow scientist @ for the slides.",
        thing="robot | Their robot @ walks on ice now. | Watch the robot @ climb stairs.",
        event="conference | Slides from the conference @ are online now. | See them live at the conference @ soon.",
        number="followers | They gained followers, @ overnight. | With followers of @ the clip goes viral.",
        place="campus | It was filmed on the campus of @ last night. | Everyone on the @ campus is watching.",
        group="startup | The startup @ already wants a demo. | Rumor has it the startup @ joined.",
    ),
}

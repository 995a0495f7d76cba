"""The fixed phrases of the text world: what traits put into a text, and what an agent writes beside facts.

Each trait that is a phrase has two wordings: the first is that of the users `strong` and `weak` and of the
demonstrations, the second that of the users `other` and `other-weak`.
"""

WORDINGS = ("first", "second")

# Sentences that stand before the facts and after them, in the order in which they stand.
OPENERS = {
    "informal": ("Hey there!", "Hi folks!"),
    "respectful": ("With respect.", "With esteem."),
    "story": ("Once upon a time.", "It was long ago."),
    "foreshadowing": ("Wait for it.", "More will come."),
    "immersive": ("You are there.", "You stand there."),
}
ENDERS = {
    "playful": ("Yippee!", "Whee!"),
    "positive": ("This is great!", "How wonderful!"),
    "emotion": ("I am moved!", "I feel it!"),
    "reflection": ("Think of yourself.", "Look at yourself."),
    "action": ("Please write back.", "Please send more."),
    "question": ("Do you agree?", "Would you agree?"),
    "hashtag": ("#mustread", "#goodread"),
    "emoji": ("🙂", "🎉"),
}
# Lines of their own.
GREETINGS = ("Dear colleague,", "Good day,")
CLOSINGS = ("Kind regards.", "Best wishes.")
THANKS = ("Many thanks.", "With gratitude.")

# What makes a sentence one in the second person.
ADDRESSES = ("You see", "You know")

# The question that a sentence answers, by the kind of its first entity; "" is a sentence without any.
PROMPTS = {
    "person": "Who?",
    "place": "Where?",
    "number": "How many?",
    "thing": "What?",
    "group": "Which group?",
    "event": "Which event?",
    "": "Anything else?",
}

# Sentences that say nothing.
FILLERS = (
    "That is all.",
    "There is no more.",
    "Here are the points.",
    "This sums it up.",
    "So much for that.",
    "It says no more.",
)

# Hard words and what stands for them in simple English; the formal tone goes the other way.
ADVERBS = {"reportedly": "really", "apparently": "surely", "evidently": "truly", "presumably": "maybe"}
SIMPLE_WORDS = ADVERBS | {
    "individuals": "people",
    "utilize": "use",
    "commence": "start",
    "terminate": "stop",
    "purchase": "buy",
    "assistance": "help",
    "subsequently": "then",
}
FORMAL_WORDS = {simple: hard for hard, simple in SIMPLE_WORDS.items()}

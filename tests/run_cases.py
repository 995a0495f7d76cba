"""The small regime of the tests of runs, here and on a cluster."""

SMALL = """
n = {n}
seeds = {seeds}
learners = ["reference", "sup", "pref", "cost"]
[world]
family = "attributes"
attributes = 2
contexts = 2
strength = [1.0, 0.4]
[pref]
link = ["balance", "paper"]
"""

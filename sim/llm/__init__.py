"""A small language model that learns from the edits of simulated users, in the layout of the paper's experiments."""

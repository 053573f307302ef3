"""Train language models to answer with the distribution of human judgements."""

__version__ = "0.1.0"

"""Curation of chains of thought: for each item, text that explains why its annotators divided as they did.

A *writer* makes a *reasoning* for each item of a *selection*: the openai writer asks a large audio model (`chat`), the
acoustic writer words measurements (`acoustic`). The *filters* are the rules that every reasoning must keep. A validator
then predicts the votes from the text alone, and the *judge* compares its distribution with them. The *verdict* goes
into a *row* of a JSON Lines file. The *store* keeps that file and the replies that are already paid for, in two
append-only *journals* that survive a kill.

`python -m data_curation` has the commands `write`, `validate`, `stats` and `review`. The trainer reads accepted rows
with `--data.rationales FILE` and imports nothing from here.
"""

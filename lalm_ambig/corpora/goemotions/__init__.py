"""GoEmotions: comments from Reddit, each labelled by several raters.

Files: `goemotions_1.csv` to `goemotions_3.csv` with one row per rater and comment, or the hub's dataset `raw` as
parquet, arrow or JSON Lines, or files with all raters of a comment in one row. `files` finds them; `hub`, `all_raters`
and `rows` read them into a `RaterRow` each. `texts` gathers the rows into a `Comment` per text and draws items evenly
over classes; `corpus` splits them.
"""

from lalm_ambig.corpora.goemotions.corpus import GoEmotions as GoEmotions

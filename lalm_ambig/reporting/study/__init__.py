"""The results of a study: its numbers (`summary`), its tables (`table`), and its figure (`figure`)."""

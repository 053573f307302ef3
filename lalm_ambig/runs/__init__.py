"""A run from its configuration to its table, and the commands' access to finished runs.

- `RunFolder` (`folder`) is a run's place on disk. `environment.json` says on what it was computed.
- `session.connect` joins a `Method` and a `DataModule`: it reads, checks and loads, and returns data with loaders.
- `Training` takes a run through all steps: base answers, reference rows, training, trained answers, results.
- `batch_checks` refuse data that does not fit the model or the optimiser step, before anything is trained.
- `checkpoints` save states to resume from, and the weights of the best validation with how they were chosen.
- `processes` start, watch and end the processes of a run, and set up Lightning's strategies.
- `loading` and `corpus_choice` give `evaluate`, `predict` and `baseline` the policy and corpus that their options name.
- `trained_items` records what a run was trained on, and refuses such items as a test; `past` reads that record, and
  what each training took, for the tables.
"""

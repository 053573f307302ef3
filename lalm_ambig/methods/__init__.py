"""Methods: the ways to train a policy, in one loop.

A `Method` gathers an experience for a batch, reduces it to a `Loss` by an objective, and logs both. `SFT`, `DPO` and
`GRPO` differ in what they gather; the loop, validation and checkpoints are in `base`. A `Reader` reads the
distributions that are evaluated, one class per way of reading.

From a sampled response to a loss: `Groups` holds the responses and their distributions. Rewards and `advantages` turn
it into `Trajectories`, tensors that outlive the step and go into checkpoints; `RolloutBuffer` keeps them for several
updates. `ScoredSpan` is one response as a training pass takes it. With the log-probabilities of that pass,
`Trajectories.experience` makes the record of the objective. A `Reference` is the same policy without what training
changed. `StepMetrics` averages a step's numbers over processes; `rollout_log` makes responses readable.
"""

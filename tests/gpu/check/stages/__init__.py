"""The stages, one module each: `run(stage)` notes facts; `options.STAGES` has their order and their seconds."""

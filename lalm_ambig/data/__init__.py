"""From a corpus to batches.

- `DataModule` has the items of each split (`Items`), after limits, rationales of a file, and items that are left out.
- `prepared_for(MethodNeeds)` and `encoded_by(Encoder)` make data that suits a method and has loaders.
- `Encoder` turns items into a `Batch`. An `Elicitation` says how it asks: prompt, reasoning, readout, scoring.
- `FeatureCache` has the features of a frozen audio encoder, which the encoder takes in place of sound.
- `LengthBuckets` orders the training batches by a `StepShape`, and `ResumableLoader` remembers its place in them.
- `by_annotator` makes pairs of item and annotator, with earlier ratings that `nearest` finds.
- `stratified_order` draws samples in which speakers, parts and classes have their shares.
"""

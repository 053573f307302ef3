"""Exports: a trained policy as a folder that transformers and PEFT load without this project.

`weights` writes the folder in one of two *forms*, an adapter or a merged model, and reads it back. `parity` asks the
policy and the model that was read back the same *probe* and compares their logits. `zero` puts the weights of a
DeepSpeed checkpoint together, `card` writes the model card, `target` makes the folder, and `push` uploads it.
"""

"""Engines: what samples the responses that are trained on.

An `Engine` is told of new weights (`update`) and continues prompts (`sample`). `InProcess` is the policy's own decode
loop, and exact. `VLLM` asks servers in other processes. Responses of those are completed here (`replay`), compared with
the policy's own log-probabilities (`agreement`) and read by its own pass (`readout`). Those that are asked for while an
earlier step trains wait in `ahead`. No engine knows a method.
"""

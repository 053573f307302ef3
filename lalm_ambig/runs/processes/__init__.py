"""The processes of a run.

`launch` starts the other processes and watches them. `strategies` divides the policy and its checks over devices.
`ending` agrees on a signal between processes, and turns the end of a run into one line.
"""

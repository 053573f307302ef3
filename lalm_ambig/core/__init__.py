"""The ground floor: the words that all rooms share. It imports no other room.

A corpus yields an *item* with the *votes* of the people who judged it; `label_dist` is its target distribution. A
*category set* holds the ordered classes of a corpus. Items become a *batch*, a policy answers it with *groups* of
responses or a *reading*, and an *objective* makes a *loss* of these (`types`). `distributions` has the mathematics of
the distributions that all of them carry.

Every command needs the rest. An `InputError` is a user's mistake (`errors`). `stopping` handles signals that ask to
end, `distributed` the processes of a run, and `installation` checks what is installed. `discovery` is the one finder
of plug-ins.
"""

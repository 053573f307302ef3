"""The ground floor: the words that all rooms share. It imports no other room.

A corpus yields an *item* with the *votes* of the people who judged it; `label_dist` is its target distribution. A
*category set* holds the ordered classes of a corpus. Items become a *batch*, a policy answers it with *groups* of
responses or a *reading*, and an *objective* makes a *loss* of these (`types`). `distributions` has the mathematics of
the distributions that all of them carry.

The rest is what every command needs: an `InputError` for a user's mistake (`errors`), signals that ask to end
(`stopping`), the processes of a run (`distributed`), the finder of plug-ins (`discovery`), and checks of the
installation (`installation`).
"""

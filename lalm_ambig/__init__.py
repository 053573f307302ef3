"""Train language models to answer with the distribution of human judgements."""

from lalm_ambig.core.installation import check_command, is_command, wrong_python

__version__ = "0.1.0"

if is_command():
    check_command()
    from lalm_ambig.core.stopping import end_quietly  # not above: an older Python cannot read it

    end_quietly()
    from lalm_ambig.help.early import answer_help  # and this one reads files

    answer_help()
elif wrong_python():
    raise ImportError(wrong_python())

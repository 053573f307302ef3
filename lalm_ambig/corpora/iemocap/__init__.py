from lalm_ambig.corpora.iemocap.corpus import Iemocap as Iemocap

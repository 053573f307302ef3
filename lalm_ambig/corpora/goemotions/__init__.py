from lalm_ambig.corpora.goemotions.corpus import GoEmotions as GoEmotions

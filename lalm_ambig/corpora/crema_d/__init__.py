from lalm_ambig.corpora.crema_d.corpus import CremaD as CremaD

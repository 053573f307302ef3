from lalm_ambig.corpora.demo.corpus import Demo as Demo

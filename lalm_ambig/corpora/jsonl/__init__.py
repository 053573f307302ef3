from lalm_ambig.corpora.jsonl.corpus import JsonLines as JsonLines

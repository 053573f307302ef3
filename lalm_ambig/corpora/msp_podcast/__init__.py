from lalm_ambig.corpora.msp_podcast.corpus import MspPodcast as MspPodcast

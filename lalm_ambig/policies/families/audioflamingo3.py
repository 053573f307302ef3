"""Audio Flamingo 3: Qwen2-Audio's encoder, two linear layers, and a Qwen2 decoder."""

from lalm_ambig.policies.families.whisper import WhisperFamily


class AudioFlamingo3Family(WhisperFamily):
    """`AudioFlamingo3ForConditionalGeneration`. Its windows after the first 30 s are not used."""

    model_type = "audioflamingo3"
    class_name = "AudioFlamingo3ForConditionalGeneration"
    title = "Audio Flamingo 3"
    mask_name = "input_features_mask"

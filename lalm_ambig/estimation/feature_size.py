"""Size on disk of the audio features that a frozen encoder's cache will hold."""

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import SPLITS
from lalm_ambig.corpora.preparing.prepared import load_prepared
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.estimation.shapes import AudioEncoderShape

GB = 1e9
SECONDS_PER_HOUR = 3600


def feature_size(data: DataModule, encoder: AudioEncoderShape, *, number_bytes: int) -> str:
    """Return a line on the size of the feature cache.

    Args:
        data: The data, which is not read. Its clips are counted if the corpus was checked before.
        encoder: Measures of the audio encoder.
        number_bytes: Bytes of one number, in the type of the encoder's weights.
    """
    per_token = encoder.features * number_bytes
    per_second = encoder.tokens_per_s * per_token  # a window that is filled is counted as full of sound
    channels = f"{encoder.features:,} channels per audio token"
    try:
        prepared = load_prepared(data.corpus)
    except InputError:  # labels that are not there yet: an hour of sound is a measure, too
        prepared = None
    if prepared is None:
        size = per_second * SECONDS_PER_HOUR / GB
        return f"audio features on disk: {size:.2f} GB per hour of sound ({channels})"
    by_split = [prepared.items(split).durations_s() for split in SPLITS]
    used = [min(len(seconds), data.limit or len(seconds)) for seconds in by_split]
    means = [float(seconds.mean()) if len(seconds) else 0.0 for seconds in by_split]
    tokens = [encoder.longest if encoder.fills_window else encoder.tokens_per_s * mean for mean in means]
    size = sum(count * each for count, each in zip(used, tokens, strict=True)) * per_token / GB
    clips = sum(
        round(n * float((s > 0).float().mean())) for n, s in zip(used, by_split, strict=True) if len(s)
    )
    limit = data.feature_cache_gb
    refused = "" if size <= limit else f"; above data.feature_cache_gb ({limit:g} GB), so fit will refuse it"
    return f"audio features on disk: {size:.2f} GB for {clips:,} clips ({channels}){refused}"

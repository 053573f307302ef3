"""The sound files of Dusha, found by the path that a clip's rows name, whatever their ending."""

from pathlib import Path, PurePosixPath

from lalm_ambig.audio.inspection import SOUND_ENDINGS
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.dusha.votes import VotedClip
from lalm_ambig.corpora.reading.paths import Enclosure
from lalm_ambig.files.json_lines import short_repr


class Sounds:
    """Listings of the folders of sound, each made once."""

    def __init__(self, enclosure: Enclosure) -> None:
        self._enclosure = enclosure
        self._by_folder: dict[Path, dict[str, str]] = {}
        self._clips: dict[str, str] = {}
        """Path → id of the clip that has it."""

    def path(self, clip: VotedClip) -> str | None:
        """The sound file of a clip; None where there is none.

        Raises:
            InputError: A folder or file leads out of the corpus, or two files of a folder have one stem.
        """
        named = PurePosixPath(clip.audio_path)
        folder = clip.source.path.parent / named.parent
        if folder not in self._by_folder:
            is_there = folder.is_dir()
            self._by_folder[folder] = self._enclosure.sounds(folder, where="corpus dusha") if is_there else {}
        stem, dot, ending = named.name.rpartition(".")
        is_sound = dot and f".{ending.lower()}" in SOUND_ENDINGS
        return self._by_folder[folder].get(stem if is_sound else named.name)

    def give(self, path: str, clip: VotedClip) -> None:
        """Note that a clip has a sound file.

        Raises:
            InputError: Another clip has it.
        """
        other = self._clips.setdefault(path, clip.id)
        if other != clip.id:
            wrong = f"clips {short_repr(other)} and {short_repr(clip.id)} have one sound file"
            raise InputError(f"{wrong}: {clip.audio_path}")

    def unused(self) -> int:
        """Number of sound files in these folders that no clip has."""
        return sum(map(len, self._by_folder.values())) - len(self._clips)

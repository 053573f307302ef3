"""Scripts with which a shell completes `lalm-ambig`: static, so that a tab starts no Python."""

from collections.abc import Mapping, Sequence

from lalm_ambig.core.door import SCRIPT, command_names
from lalm_ambig.files.config_files import names_of
from lalm_ambig.help.catalogue import KINDS, kinds, options
from lalm_ambig.help.commands import about

SHELLS = ("bash", "zsh", "fish")
LISTED = (*KINDS, "presets", "hardware", "studies", "keys")
BASH = """# Completion of lalm-ambig for bash. Put it in force with: source <(lalm-ambig completion bash)
_lalm_ambig() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="" command="${{COMP_WORDS[1]}}" inner="${{COMP_WORDS[2]}}" words=""
    (( COMP_CWORD > 0 )) && before="${{COMP_WORDS[COMP_CWORD-1]}}"
    [[ $word == "=" ]] && word=""
    [[ $before == "=" && COMP_CWORD -gt 1 ]] && before="${{COMP_WORDS[COMP_CWORD-2]}}"
    COMPREPLY=()
    if (( COMP_CWORD == 1 )); then
        COMPREPLY=( $(compgen -W "{commands} --help --version" -- "$word") )
        return
    fi
    case "$command $before" in
{values}
    esac
    if [[ -n $words ]]; then
        COMPREPLY=( $(compgen -W "$words" -- "$word") )
        return
    fi
    if [[ $word == -* ]]; then
        case "$command $inner" in
{inner}
        esac
        [[ -n $words ]] || case "$command" in
{options}
        esac
        COMPREPLY=( $(compgen -W "$words" -- "$word") )
        return
    fi
    compopt -o default 2>/dev/null
    COMPREPLY=( $(compgen -f -- "$word") )
}}
complete -F _lalm_ambig lalm-ambig
"""
ZSH = """#compdef lalm-ambig
# Completion of lalm-ambig for zsh. Put it in force with: source <(lalm-ambig completion zsh)
autoload -U +X bashcompinit && bashcompinit
{bash}"""
FISH_HEAD = """# Completion of lalm-ambig for fish. Put it in force with: lalm-ambig completion fish | source
complete -c lalm-ambig -f -n "__fish_use_subcommand" -l help
"""


def script(shell: str) -> str:
    """Return the script of a shell.

    Args:
        shell: One of `SHELLS`.

    Returns:
        The script.
    """
    return {"bash": _bash, "zsh": lambda: ZSH.format(bash=_bash()), "fish": _fish}[shell]()


def values_of(command: str) -> dict[str, Sequence[str]]:
    """Return the words that may follow each option of a command, for options with a list of words.

    Args:
        command: The command, with its inner command after a dot.

    Returns:
        Words by option. The command's own name stands for its first word.
    """
    values: dict[str, Sequence[str]] = {
        name: words for name, words in options().get(command, {}).items() if words
    }
    classes = {kind.key: [entry.name for entry in kind.entries] for kind in kinds().values() if kind.key}
    files = {kind: names_of(kind) for kind in ("policy", "data", "method", "preset", "hardware")}
    if command == "fit":
        values |= {f"--{key}": names for key, names in classes.items() if key != "model.rewards"}
        values |= {f"--{kind}": names for kind, names in files.items()}
        values["--policy"] = [*files["policy"], *classes["policy"]]
        values["--method"] = [*files["method"], *classes["model"]]
    corpora = [alias for entry in kinds()["corpora"].entries for alias in entry.aliases]
    own = options().get(command, {})
    values |= {
        name: words
        for name, words in (("--corpus", corpora), ("--policy", files["policy"]))
        if name in own and command != "fit"
    }
    first = {
        "list": LISTED,
        "completion": SHELLS,
        "study": names_of("study"),
        "baseline": [entry.name for entry in kinds()["baselines"].entries],
    }
    inner = [name.partition(".")[2] for name in options() if name.startswith(f"{command}.")]
    if words := first.get(command, inner):
        values[command] = words
    return values


def _bash() -> str:
    known, names = options(), command_names()
    tops = [name for name in names if name in known]
    values = [
        (f"{name.partition('.')[0]} {option}", words)
        for name in known
        for option, words in values_of(name).items()
    ]
    inner = {name.replace(".", " "): list(known[name]) for name in known if "." in name}
    return BASH.format(
        commands=" ".join(names),
        values=_cases(_joined(values), indent=8),
        inner=_cases(inner, indent=12),
        options=_cases({name: list(known[name]) for name in tops}, indent=12),
    )


def _joined(pairs: Sequence[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    """Return the words of each case, with those of inner commands in one."""
    joined: dict[str, list[str]] = {}
    for case, words in pairs:
        joined[case] = list(dict.fromkeys([*joined.get(case, []), *words]))
    return joined


def _cases(cases: Mapping[str, Sequence[str]], *, indent: int) -> str:
    margin = " " * indent
    lines = [f'{margin}"{case}") words="{" ".join(words)}" ;;' for case, words in cases.items()]
    return "\n".join(lines or [f"{margin}*) ;;"])


def _fish() -> str:
    start = f'complete -c {SCRIPT} -f -n "__fish_use_subcommand"'
    lines = [
        FISH_HEAD.rstrip(),
        *(f"{start} -a {name} -d {_quoted(about(name))}" for name in command_names()),
    ]
    for name, known in options().items():
        command, _, inner = name.partition(".")
        seen = f"__fish_seen_subcommand_from {command}" + (
            f"; and __fish_seen_subcommand_from {inner}" if inner else ""
        )
        values = values_of(name)
        if first := values.get(command):
            lines.append(f'complete -c {SCRIPT} -f -n "{seen}" -a {_quoted(" ".join(first))}')
        for option in known:
            words = values.get(option)
            takes = f" -x -a {_quoted(' '.join(words))}" if words else ""
            lines.append(f'complete -c {SCRIPT} -n "{seen}" -l {option.removeprefix("--")}{takes}')
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

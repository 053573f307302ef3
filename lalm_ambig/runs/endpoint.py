"""`evaluate --endpoint`: a split answered by a model behind an endpoint, scored and saved like a policy's answers."""

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from lalm_ambig.baselines.base import BaselineResult, baseline
from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.config.trust import allowed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import ALL, SPLITS, Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.preparing.split_check import check_splits
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Readout, prompt_notes
from lalm_ambig.endpoint.answers import Answers
from lalm_ambig.endpoint.chat import Chat
from lalm_ambig.endpoint.exchange import KEPT, Exchange
from lalm_ambig.endpoint.limits import CapReached, Limits
from lalm_ambig.endpoint.place import KEY, Place, check_upload, key_for, place_of
from lalm_ambig.endpoint.questions import Questions
from lalm_ambig.endpoint.reading import EndpointReader, Stated, logits_reader
from lalm_ambig.endpoint.workers import each
from lalm_ambig.evaluation.annotator_table import result_tables
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.responses import responses_of
from lalm_ambig.evaluation.results import About, Results
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.files.families import is_family
from lalm_ambig.methods.generation import Generation
from lalm_ambig.remote.server import Refused, Server, Unavailable
from lalm_ambig.runs.corpus_choice import chosen_corpus, chosen_data, unchanged_corpus
from lalm_ambig.runs.endpoint_options import (
    DEFAULT_CONCURRENCY,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT_S,
    limits_of,
    settings_of,
)
from lalm_ambig.runs.evaluation import baseline_inputs, check_place, save_baseline, score_and_save
from lalm_ambig.runs.fold_by_fold import folds_of
from lalm_ambig.runs.folder.run_folder import RunFolder, open_run
from lalm_ambig.tabular.writers import terminal

NOTHING_READ: dict[Readout, str] = {
    "logits": "Not one item could be read: what is outside the listed tokens is not known. Use --readout verbalised.",
    "verbalised": "Not one response could be read: predictions.jsonl has their texts.",
}
UNKNOWN_PAST = "the items that {} was trained on are not known: these may be among them"


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that is about to begin."""

    options: argparse.Namespace
    place: Place
    key: str | None
    data: DataModule
    items: Sequence[Item]
    readouts: Sequence[Readout]
    reasoning: bool
    max_tokens: int
    run: RunFolder | None

    def folder(self, readout: Readout) -> Path:
        """The folder of a readout: that of `--out`, or one inside it where there are several."""
        out: Path = self.options.out
        return out if len(self.readouts) == 1 else out / readout

    def label(self, readout: Readout) -> str:
        """The name of a readout's row."""
        return f"{self.options.model} ({readout}, endpoint)"

    def server(self, *, above: bool) -> Server:
        """The server, at its address with `/v1` or without."""
        timeout_s = self.options.timeout or DEFAULT_TIMEOUT_S
        url = self.place.root if above else self.place.url
        return Server(url, timeout_s, self.key, is_far=not self.place.is_local)


def evaluate_endpoint(options: argparse.Namespace, console: Console) -> None:
    """Let a model behind an endpoint answer a split, and print and save its rows.

    Args:
        options: Those of `evaluate`, checked.
        console: Where tables are printed.

    Raises:
        InputError: A mistake of the user's, a server that fails, or a cap that is reached.
    """
    asked = _prepared(options)
    limits = limits_of(options, has_sound=any(item.has_sound for item in asked.items))
    portion = "all splits" if options.split == ALL else f"{options.split} split"
    corpus = asked.data.corpus
    _print(console, f"{options.model} on {len(asked.items)} items of {corpus.name}, {portion}")
    with ExitStack() as open_files:
        exchanges = {}
        for readout in asked.readouts:
            answers = open_files.enter_context(Answers(asked.folder(readout)))
            exchanges[readout] = Exchange(
                asked.server(above=False),
                asked.server(above=True),
                model=options.model,
                answers=answers,
                limits=limits,
                retries=DEFAULT_RETRIES if options.retries is None else options.retries,
            )
        for readout, exchange in exchanges.items():
            results = _row(asked, readout, exchange, console)
            _show(asked, results, console)
            if results[asked.label(readout)].parse_rate == 0:
                _print(console, NOTHING_READ[readout])
            _print(console, _costs(exchange, limits))
            _print(console, f"metrics.json and predictions.jsonl: {asked.folder(readout)}")


def _prepared(options: argparse.Namespace) -> Evaluation:
    """Read the corpus and the key, and check everything that needs no server."""
    asked = _asked(options)
    data, corpus = asked.data, asked.data.corpus
    check_place(options.out)
    for readout in asked.readouts:
        check_place(asked.folder(readout))
    data.setup()
    check_splits(corpus, data.prepared.counts(), (options.split,))
    items = list(data.items(options.split))
    check_upload(
        asked.place,
        corpus=corpus.name,
        licensed=corpus.licensed,
        has_sound=any(item.has_sound for item in items),
        confirmed=options.confirm_upload,
    )
    return replace(asked, items=items)


def _asked(options: argparse.Namespace) -> Evaluation:
    """What is asked, without the items: the corpus is not read yet."""
    place = place_of(options.endpoint)
    key = key_for(place, options.api_key_env)
    settings_of(options)
    if options.run is not None and is_family(str(options.run)):
        raise InputError(
            "an endpoint answers the items of one run.", where="--run", remedy="Name one of them."
        )
    run = None if options.run is None else open_run(options.run)
    cli = _configuration(options, run)
    generation = Generation() if cli is None else cli.model.generation
    data = chosen_data(
        options,
        _corpus(options, cli),
        run_data=None if cli is None else cli.datamodule,
        scoring="first" if cli is None else cli.datamodule.scoring,
    )
    reasons = cli is not None and cli.model.reasoning
    readouts = options.readout or ["verbalised" if cli is None else cli.model.readout]
    return Evaluation(
        options,
        place,
        key,
        data,
        (),
        tuple(dict.fromkeys(readouts)),
        reasoning=reasons if options.reasoning is None else options.reasoning,
        max_tokens=options.max_new_tokens or generation.max_new_tokens,
        run=run,
    )


def _configuration(options: argparse.Namespace, run: RunFolder | None) -> Cli | None:
    if run is not None:
        return parse([f"--config={run.config}", *allowed(options)])
    if options.config is not None:
        root = [] if options.root is None else [f"--data.corpus.init_args.root={options.root}"]
        return parse([f"--config={options.config}", *root, *allowed(options)])
    return None


def _corpus(options: argparse.Namespace, cli: Cli | None) -> Corpus:
    if options.corpus is not None:
        return chosen_corpus(options, cli)
    if cli is None:
        raise InputError("--corpus is missing (or --run DIR, for a run's own items).", where="evaluate")
    fixed = ["part", "seed", "fold", "option"] + ["root"] * (options.run is not None)
    owner = "configuration" if options.run is None else "run"
    return unchanged_corpus(options, cli.datamodule.corpus, command="evaluate", owner=owner, fixed=fixed)


def _row(asked: Evaluation, readout: Readout, exchange: Exchange, console: Console) -> Mapping[str, Results]:
    """Answer all items with a readout, and save the row; with the rows of the baselines before it."""
    started, had = time.perf_counter(), len(exchange.answers)
    try:
        reader = _reader(asked, readout, exchange, console)
        predictions = _answered(asked, reader, exchange.limits, console)
    except Refused as error:
        raise _refusal(asked, error) from error
    except CapReached as error:
        raise InputError(f"{error}.", remedy=f"Raise it. {KEPT}") from error
    data, options = asked.data, asked.options
    label = asked.label(readout)
    usage, prices = exchange.usage, exchange.limits.prices
    about = About(
        data.corpus.name,
        options.split,
        readout,
        "generated" if asked.reasoning else "direct",
        label,
        table_metrics=data.corpus.table_metrics,
        part=data.corpus.part_or_target,
        seconds_an_item=None if had else (time.perf_counter() - started) / len(predictions),
        trained_items=Overlap(0, 0, len(predictions), unchecked=(UNKNOWN_PAST.format(options.model),)),
        training=(),
        tokens_charged=usage.total,
        cost_usd=None if prices is None else prices.cost_usd(usage),
    )
    folder = asked.folder(readout)
    results = score_and_save(folder, predictions, data.categories, about=about)
    results = replace(results, notes=(*results.notes, *reader.notes, *_uncounted(exchange)))
    write_results(folder / "metrics.json", results)
    return {**_baselines(asked, folder, console), **_of_run(asked), label: results}


def _reader(asked: Evaluation, readout: Readout, exchange: Exchange, console: Console) -> EndpointReader:
    elicitation = asked.data.elicitation(reasoning=asked.reasoning, readout=readout)
    questions = Questions(elicitation, asked.data.categories)
    heard = sum(item.has_sound for item in asked.items)
    texts = len(asked.items) - heard
    for note in prompt_notes(elicitation, asked.data.categories, heard=heard, texts=texts):
        _print(console, f"{asked.data.corpus.name}: {note}")
    chat = Chat(exchange, settings_of(asked.options))
    if readout == "verbalised":
        return Stated(chat, questions, asked.max_tokens)
    return logits_reader(
        chat,
        questions,
        max_tokens=asked.max_tokens,
        scoring=asked.data.scoring,
        has_sound=heard > 0,
    )


def _answered(
    asked: Evaluation, reader: EndpointReader, limits: Limits, console: Console
) -> list[Prediction]:
    """The predictions of all items. The first one is asked alone: it finds what is wrong with all."""
    reader.read(asked.items[0])
    rows: dict[int, Prediction] = {}
    concurrency = asked.options.concurrency or DEFAULT_CONCURRENCY
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("asked", total=len(asked.items))
        for number, row in each(asked.items, reader.read, concurrency=concurrency, limits=limits):
            rows[number] = row
            progress.advance(bar)
    return [rows[number] for number in range(len(asked.items))]


def _refusal(asked: Evaluation, error: Refused) -> InputError:
    """What a refusal means, in one line."""
    if error.status in (401, 403):
        name = asked.options.api_key_env or KEY
        sent = f"the key of {name}" if asked.key else "a request without a key"
        return InputError(
            f"it does not accept {sent} (HTTP {error.status}: {error.message}).",
            where="--endpoint",
            remedy=f"Set the environment variable {name}.",
        )
    if error.status == 404:
        return InputError(
            f"it knows no {asked.options.model!r} at {asked.place.url} ({error.message}).",
            where="--model",
            remedy=_models(asked),
        )
    return InputError(f"it refuses a question: {error}.", where="--endpoint", remedy=KEPT)


def _models(asked: Evaluation) -> str:
    try:
        names = [str(model["id"]) for model in asked.server(above=False).get("/models")["data"]]
    except (Refused, Unavailable, LookupError, TypeError):
        return "Is the address right? It usually ends with /v1."
    return f"It has {', '.join(sorted(names)[:5]) or 'none'}{', …' if len(names) > 5 else ''}."


def _baselines(asked: Evaluation, folder: Path, console: Console) -> dict[str, Results]:
    """The rows of uniform and of the corpus's prior, which is learnt fold by fold where all items are tested."""
    data, split = asked.data, asked.options.split
    inputs = baseline_inputs(data, split)
    answers = {"uniform": baseline("uniform").answer(inputs)}
    meaning = f"mean distribution of {data.corpus.name}'s training split"
    if split == ALL:
        every = data.prepared.items()
        try:
            folds = folds_of(data.corpus, every.ids(), judged=[item.judged for item in every])
            rows = folds.prior(inputs.items, list(every))
            answers["prior"] = BaselineResult(rows, f"{meaning}, fold by fold")
        except InputError as error:
            _print(console, f"no prior of {data.corpus.name}: {error}")
    elif split != "train" and len(inputs.train):
        answers["prior"] = baseline("prior").answer(inputs)
    return {name: save_baseline(folder / name, one, data, split=split) for name, one in answers.items()}


def _of_run(asked: Evaluation) -> dict[str, Results]:
    """The rows that the run itself has of that split."""
    split = asked.options.split
    if asked.run is None or split not in SPLITS:
        return {}
    places = {name: asked.run.evaluation(name, split) for name in ("base", "trained")}
    labels = {"base": "base", "trained": asked.run.path.name}
    return {
        labels[name]: read_results(folder / "metrics.json")
        for name, folder in places.items()
        if (folder / "metrics.json").is_file()
    }


def _show(asked: Evaluation, results: Mapping[str, Results], console: Console) -> None:
    """Print the tables; without the run's rows where these are not on the same items, or of another readout."""
    try:
        shown, tables = results, result_tables(results)
    except InputError as error:
        ours = {"base", "" if asked.run is None else asked.run.path.name}
        shown = {name: row for name, row in results.items() if name not in ours}
        tables = result_tables(shown)
        _print(console, f"the run's own rows are not shown: {error}")
    main, below = tables
    console.print(terminal(main, narrow=True), terminal(below))
    if (responses := responses_of(shown)) is not None:
        console.print(terminal(responses))


def _costs(exchange: Exchange, limits: Limits) -> str:
    """One line on what was asked and spent."""
    usage, usd = exchange.usage, limits.prices
    cost = "" if usd is None else f", {usd.cost_usd(usage):.4f} US dollars"
    return (
        f"requests: {exchange.asked} sent, {exchange.repeated} answered by {exchange.answers.path.name}; "
        f"{usage.total} tokens ({usage.prompt} of prompts){cost}"
    )


def _uncounted(exchange: Exchange) -> tuple[str, ...]:
    if not exchange.without_usage:
        return ()
    return (
        f"the endpoint did not count the tokens of {exchange.without_usage} calls: they count at their worst",
    )


def _print(console: Console, line: str) -> None:
    console.print(escape(line), highlight=False, soft_wrap=True)

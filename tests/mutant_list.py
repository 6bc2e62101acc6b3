"""Faults that the tests must find: data for ``mutants.py``, which plants them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A fault in one file.

    Attributes:
        name: what is wrong with it.
        file: below the repository.
        old: text that is there exactly once.
        new: the text in its place.
        tests: of which at least one should fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


PROTOCOLS = "gtzan_lightning/data/protocols.py"
LAYERS = "gtzan_lightning/models/layers.py"
FINE_TUNING = "gtzan_lightning/models/fine_tuning.py"
KEPT = "gtzan_lightning/models/kept.py"
WEIGHTS = "gtzan_lightning/models/weights.py"
HEARD = "tests/models/test_heard.py"
DRAWN = "gtzan_lightning/data/draws.py"
CLIPS = "gtzan_lightning/data/clips.py"
MODULE = "gtzan_lightning/data/module.py"
VOTE = "gtzan_lightning/models/vote.py"
VOTES = "gtzan_lightning/models/song_votes.py"
PART_SCORES = "gtzan_lightning/models/part_scores.py"
CLASSIFIER = "gtzan_lightning/models/classifier.py"
BASELINES = "gtzan_lightning/models/baselines.py"
CALLBACKS = "gtzan_lightning/training/callbacks.py"
TRAIN = "gtzan_lightning/training/train.py"
REPORT = "gtzan_lightning/training/report.py"
READING = "gtzan_lightning/tracking/reading.py"
RUN_FOLDER = "gtzan_lightning/tracking/run_folder.py"
IDENTITY = "gtzan_lightning/recipe/identity.py"
SWEEP = "gtzan_lightning/tuning/sweep.py"
PREDICTIONS = "gtzan_lightning/results/predictions.py"
INTERVALS = "gtzan_lightning/results/intervals.py"
TABLES = "gtzan_lightning/results/tables.py"
ROWS = "gtzan_lightning/results/rows.py"
BY_ARTIST = "gtzan_lightning/results/by_artist.py"
SIGNIFICANCE = "gtzan_lightning/results/significance.py"
ARTISTS = "gtzan_lightning/data/artists.py"
OPENINGS = "gtzan_lightning/results/openings.py"
SERIES = "gtzan_lightning/training/series.py"
JOURNAL = "gtzan_lightning/tracking/journal.py"
PREPARED = "gtzan_lightning/data/prepared.py"
CORPUS_SONGS = "gtzan_lightning/inference/corpus_songs.py"
SOUND_FILES = "gtzan_lightning/data/sound_files.py"
DECODING = "gtzan_lightning/data/decoding.py"
RECORDINGS = "gtzan_lightning/data/recordings.py"
RECORDS = "gtzan_lightning/records.py"

OF_PROTOCOLS = "tests/data/test_protocols.py"
MEMBERSHIPS = (f"{OF_PROTOCOLS}::test_memberships_never_change",)
SEEDS = (f"{OF_PROTOCOLS}::test_another_split_seed_is_another_split",)
DISJOINT = (
    f"{OF_PROTOCOLS}::test_no_part_shares_a_song_with_another_and_membership_ignores_the_disk",
)
DRAWS = (
    "tests/data/test_data.py"
    "::test_draws_of_an_epoch_are_new_in_each_epoch_and_the_same_when_resumed",
)
AUGMENTED = ("tests/data/test_data.py::test_only_the_training_is_augmented",)
AVERAGED = (
    "tests/training/test_callbacks.py::test_the_average_is_validated_and_kept_and_the_training"
    "_goes_on_from_its_own_weights",
)
CHOSEN = (
    "tests/training/test_callbacks.py"
    "::test_the_validation_part_chooses_the_epoch_and_stops_the_training",
)
IN_EPOCHS = (
    "tests/models/test_classifier.py"
    "::test_pictures_are_augmented_anew_in_each_epoch_and_process_and_the_same_when_resumed",
)
NEIGHBOURS = (
    "tests/models/test_baselines.py"
    "::test_what_is_predicted_of_a_clip_does_not_depend_on_its_neighbours",
)
FITTED = ("tests/models/test_baselines.py::test_scaler_and_components_see_the_training_part_only",)
OF_VOTES = ("tests/models/test_song_votes.py", "tests/results/test_predictions.py")
OF_PREDICTIONS = ("tests/results/test_predictions.py",)
OF_TABLES = ("tests/results/test_tables.py",)
OF_SIGNIFICANCE = ("tests/results/test_significance.py",)

# fmt: off
MUTANTS = [
    # protocols: who is in which part
    Mutant("kfold tests the next fold", PROTOCOLS,
           "if f != data.fold]",
           "if f != (data.fold + 1) % data.folds]", MEMBERSHIPS),
    Mutant("kfold cuts valid from the test songs", PROTOCOLS,
           "if f != data.fold]",
           "if f == data.fold]",
           (f"{OF_PROTOCOLS}::test_valid_is_cut_from_the_songs_that_are_not_tested",)),
    Mutant("artist cuts valid from the test songs", DRAWN,
           "if fold[g] != data.fold}",
           "if fold[g] == data.fold}",
           (f"{OF_PROTOCOLS}::test_valid_is_cut_from_the_songs_that_are_not_tested",)),
    Mutant("artist ignores the split seed", DRAWN,
           "fold = deal(groups, [1 / data.folds] * data.folds, data.split_seed)",
           "fold = deal(groups, [1 / data.folds] * data.folds, 0)", SEEDS),
    Mutant("stratified and kfold ignore the split seed", DRAWN,
           "ranked = sorted(genre.values(), key=lambda songs: draw(seed, songs[0]))",
           "ranked = sorted(genre.values(), key=lambda songs: draw(0, songs[0]))", SEEDS),
    Mutant("recordings are not kept together", DRAWN,
           "return {i: parts.get(recordings().get(i, i), part) for i, part in parts.items()}",
           "return parts", DISJOINT + MEMBERSHIPS),
    Mutant("first20 tests song 20 too", PROTOCOLS,
           "if int(i[-5:]) >= 20]", "if int(i[-5:]) > 20]",
           (f"{OF_PROTOCOLS}::test_first20_tests_songs_00_to_19",)),
    Mutant("a song on disk moves others", PROTOCOLS,
           "everyone = universe if universe is not None else sorted(genre_of)",
           "everyone = sorted(genre_of)", DISJOINT),
    # clips: what is drawn of a song
    Mutant("the last clip of a song is lost", CLIPS,
           "count = max(1, round(length / steps))", "count = max(1, length // steps)",
           ("tests/data/test_data.py"
            "::test_thirty_seconds_are_ten_clips_whatever_the_true_length",)),
    Mutant("resume draws other clips", CLIPS,
           "random = np.random.default_rng([self.seed, self.epoch()])",
           "random = np.random.default_rng()", DRAWS),
    Mutant("every epoch has the same clips", CLIPS,
           "random = np.random.default_rng([self.seed, self.epoch()])",
           "random = np.random.default_rng([self.seed])", DRAWS),
    Mutant("every seed has the same clips", CLIPS,
           "random = np.random.default_rng([self.seed, self.epoch()])",
           "random = np.random.default_rng([0, self.epoch()])", DRAWS),
    Mutant("the same augmentation of waveforms in every epoch", CLIPS,
           "seeds = random.integers(0, 2**32, self.total)",
           "seeds = np.random.default_rng(self.seed).integers(0, 2**32, self.total)", DRAWS),
    Mutant("every clip is the beginning of its song", CLIPS,
           "starts = random.integers(0, spare[songs] + 1)",
           "starts = random.integers(0, 1, len(songs))", DRAWS),
    Mutant("processes take the same clips", CLIPS,
           "[self.rank :: self.shard[1]]", "[0 :: self.shard[1]]",
           ("tests/data/test_data.py::test_an_epoch_takes_every_song_as_often_and_processes_share"
            "_the_same_batches",)),
    Mutant("pictures of the evaluation are augmented", MODULE,
           "if self.trainer is not None and self.trainer.training:",
           "if self.trainer is not None:", AUGMENTED),
    Mutant("waveforms of the evaluation are augmented", MODULE,
           'return self._loader(self._fixed_batches(self.evaluated))',
           'return self._loader(self._fixed_batches(self.evaluated), self._wave_augmentation())',
           AUGMENTED),
    # training: what is learnt, kept and scored
    Mutant("the same augmentation of pictures in every epoch", CLASSIFIER,
           "1_000_003 * self.current_epoch", "1_000_003 * 0", IN_EPOCHS),
    Mutant("every process augments alike", CLASSIFIER,
           "self.current_epoch + self.global_rank)", "self.current_epoch)", IN_EPOCHS),
    Mutant("label smoothing in the evaluation loss", CLASSIFIER,
           'batch["genre"], reduction="none")',
           'batch["genre"], reduction="none", label_smoothing=self.recipe.fit.label_smoothing)',
           ("tests/models/test_classifier.py"
            "::test_the_loss_of_an_evaluation_is_of_the_true_genres_whatever_the_smoothing",)),
    Mutant("mixed clips in the training accuracy", PART_SCORES,
           'pure = batch["target"].amax(1) == 1', 'pure = batch["target"].amax(1) > 0',
           ("tests/models/test_part_scores.py"
            "::test_clips_that_were_mixed_are_in_the_loss_and_in_no_score",)),
    Mutant("early stopping on the training accuracy", CALLBACKS,
           "EarlyStopping(fit.monitor, fit.min_delta, fit.patience, mode=mode)",
           'EarlyStopping("train/song_accuracy", 0, fit.patience, mode="max")', CHOSEN),
    Mutant("the best epoch by the training accuracy", CALLBACKS,
           'filename="best", monitor=score', 'filename="best", monitor="train/song_accuracy"',
           CHOSEN),
    Mutant("the lowest accuracy is the best", CALLBACKS,
           'mode = "max" if', 'mode = "min" if', CHOSEN),
    Mutant("weight averaging undone", CALLBACKS,
           "if fit.average_epochs:", "if fit.average_epochs < 0:", AVERAGED),
    Mutant("the last weights are validated, not the average", CALLBACKS,
           "        super().on_validation_epoch_start(trainer, module)\n"
           "        self.swapped = True",
           "        self.swapped = False", AVERAGED),
    Mutant("the training goes on from the average", CALLBACKS,
           "            self._swap_models(module)\n", "", AVERAGED),
    Mutant("the last checkpoint is tested, not the best", TRAIN,
           'predict(trainer, model, data, folder / "best.ckpt")',
           'predict(trainer, model, data, folder / "last.ckpt")',
           ("tests/training/test_training.py::test_torchmetrics_and_the_predictions_agree",
            "tests/training/test_training.py"
            "::test_the_averaged_weights_that_were_validated_are_kept_and_tested")),
    Mutant('songs.csv says "train" of every song', REPORT,
           'data.split.members[s["id"]], s.get("digest")', '"train", s.get("digest")',
           ("tests/training/test_report.py",)),
    # baselines
    Mutant("scaler and PCA are fitted on the validation part too", BASELINES,
           'fitted.fit(train["vector"], train["genre"])',
           'more, names = vectors("valid"), ("vector", "genre")\n'
           "        fitted.fit(*(np.concatenate([train[n], more[n]]) for n in names))",
           FITTED),
    Mutant("the scaler is fitted on what is predicted", BASELINES,
           "scores = np.full((len(vectors), genres), np.log(DOUBT / genres))",
           "scores = np.full((len(vectors), genres), np.log(DOUBT / genres))\n"
           "    fitted[0].fit(vectors)", NEIGHBOURS),
    Mutant("PCA is fitted on what is predicted", BASELINES,
           "scores = np.full((len(vectors), genres), np.log(DOUBT / genres))",
           "scores = np.full((len(vectors), genres), np.log(DOUBT / genres))\n"
           "    if len(fitted) == 3: fitted[1].fit(fitted[0].transform(vectors))", NEIGHBOURS),
    # votes
    Mutant("a song's log-probability is a sum over its clips", VOTE,
           "return (log_probs / clips).log_softmax(-1)", "return log_probs.log_softmax(-1)",
           OF_VOTES),
    Mutant("the mean vote is of log-probabilities", VOTES,
           "self.mean.index_add_(0, song, log_probs.exp())",
           "self.mean.index_add_(0, song, log_probs)", OF_VOTES),
    Mutant("every clip votes for the first song", VOTES,
           "self.hard.index_add_(0, song, hard)", "self.hard.index_add_(0, song * 0, hard)",
           OF_VOTES),
    Mutant("genres without songs lower the macro scores", VOTES,
           "present = support > 0", "present = support >= 0", OF_VOTES),
    # tracking
    Mutant("runs are listed from the oldest", READING,
           "return pd.DataFrame(rows)\n", "return pd.DataFrame(rows[::-1])\n",
           ("tests/tracking/test_reading.py",)),
    Mutant("a run that is done is resumed", RUN_FOLDER,
           'if not (folder / "done").exists()', "if True",
           ("tests/training/test_training.py"
            "::test_a_run_that_stopped_early_does_not_train_on_when_it_is_resumed",)),
    Mutant("minutes before an interruption are lost", RUN_FOLDER,
           "return before + (time.monotonic() - start) / 60",
           "return (time.monotonic() - start) / 60", ("tests/tracking/test_run_folder.py",)),
    Mutant("artists are the groups alone", ARTISTS,
           "for song, key in [*_credited(), *artist_groups().items()]:",
           "for song, key in artist_groups().items():", (OF_PROTOCOLS,)),
    Mutant("a duet joins nobody", ARTISTS,
           'r",|&| and "', 'r"^$"', (OF_PROTOCOLS,)),
    Mutant("a leaky table is used", "gtzan_lightning/models/baselines.py",
           "if not reasons or settings.leaky_columns:", "if True:",
           ("tests/models/test_baselines.py"
            "::test_columns_that_tell_the_genre_are_refused_or_marked",)),
    Mutant("a sweep may vary the protocol", "gtzan_lightning/tuning/space.py",
           "if name in FIXED:", "if False:",
           ("tests/tuning/test_sweep.py::test_bad_input_is_one_line",)),
    # recipe, sweeps
    Mutant("augmentation is no part of a recipe", IDENTITY,
           'if identity == "part" or', 'if identity == "part" and name[:8] != "augment." or',
           ("tests/recipe/test_recipes.py"
            "::test_recipes_that_differ_in_one_setting_are_two",)),
    Mutant("every trial is like the best", SWEEP,
           'trial.number: "yes" if p >= ALPHA else "no"', 'trial.number: "yes"',
           ("tests/tuning/test_sweep.py"
            "::test_only_trials_like_the_best_are_said_to_be_like_it",)),
    # results
    Mutant("the headline's interval is of clips", PREDICTIONS,
           "return values | _intervals(songs, artist_of(clips))",
           "return values | _intervals(clips, artist_of(clips))", OF_PREDICTIONS),
    Mutant("the mean vote is the headline", PREDICTIONS,
           'how: str = "log_mean") -> pd.DataFrame:', 'how: str = "mean") -> pd.DataFrame:',
           OF_PREDICTIONS),
    Mutant("ties of the hard vote go to the first genre", PREDICTIONS,
           "voted = hard + log_mean.transform(np.exp) * 1e-6", "voted = hard", OF_VOTES),
    Mutant("clips of both parts are scored together", PREDICTIONS,
           'clips = predictions[predictions["part"] == part]', "clips = predictions",
           OF_PREDICTIONS),
    Mutant("Wilson's interval is at 90 %", INTERVALS,
           "inv_cdf(0.975)", "inv_cdf(0.95)", OF_PREDICTIONS),
    Mutant("the remark on optimism is lost in mixed tables", TABLES,
           "if any(not row.kept for row in networks):",
           "if all(row.parameters is not None for row in self.rows):", OF_TABLES),
    Mutant("an epoch that nothing chose is called chosen", "gtzan_lightning/results/headline.py",
           "bool(row.parameters) and not row.kept", "bool(row.parameters)",
           ("tests/results/test_ledger.py",)),
    Mutant("leaks are not remarked on the validation part", TABLES,
           'return [f"{remark}.", *warnings]', 'return [f"{remark}."]', OF_TABLES),
    Mutant("F1 is the highest of the runs", ROWS,
           "return float(values.mean()) if len(values)",
           "return float(values.max()) if len(values)", OF_TABLES),
    Mutant("compare pairs the oldest repeat", TABLES,
           "return latest(runs)",
           'return runs.drop_duplicates(["seed", "fold"], keep="last")', OF_TABLES),
    Mutant("unfinished runs count", ROWS,
           "done = latest(finished)", "done = latest(runs)", OF_TABLES),
    Mutant("seeds count as songs", ROWS,
           'of_folds = songs.groupby(done["fold"]).max()',
           'of_folds = songs.groupby(done["fold"]).sum()', OF_TABLES),
    Mutant("the verdict is McNemar's", SIGNIFICANCE,
           "return self.p < ALPHA and", "return self.mcnemar < ALPHA and", OF_SIGNIFICANCE),
    Mutant("ALPHA is 0.15", SIGNIFICANCE, "ALPHA = 0.05", "ALPHA = 0.15", OF_SIGNIFICANCE),
    Mutant("Holm multiplies by one too few", SIGNIFICANCE,
           "factor = len(values) - rank\n", "factor = len(values) - rank - 1 or 1\n",
           OF_SIGNIFICANCE),
    Mutant("sign flips look one way", BY_ARTIST,
           "np.abs(flipped) >= abs(sums.sum())", "flipped >= sums.sum()", OF_SIGNIFICANCE),
    Mutant("songs of one artist count alone in intervals", BY_ARTIST,
           "    size = cluster.max() + 1\n", "    cluster = np.arange(len(cluster))\n"
           "    size = cluster.max() + 1\n", (*OF_SIGNIFICANCE, *OF_TABLES)),
    Mutant("songs of one artist count alone in tests", BY_ARTIST,
           "sums = np.bincount(cluster, differences)", "sums = differences", OF_SIGNIFICANCE),
    Mutant("seeds are no chance", BY_ARTIST,
           "multinomial(len(values), share, DRAWS)", "multinomial(len(values), share, 1)",
           OF_SIGNIFICANCE),
    Mutant("the sentence says the other sign", SIGNIFICANCE,
           "low=-self.high, high=-self.low", "low=self.low, high=self.high", OF_SIGNIFICANCE),
    Mutant("other code is averaged", TABLES,
           'runs.groupby(states(runs))', 'runs.groupby(runs["recipe"])', OF_TABLES),
    Mutant("sd of incomplete seeds", ROWS,
           'folds.index[folds == done["fold"].nunique()]', "folds.index", OF_TABLES),
    Mutant("a half-right song speaks for the second system", SIGNIFICANCE,
           "(of_b < 0.5)).sum())", "(of_b <= 0.5)).sum())", OF_SIGNIFICANCE),
    # the closed test part, and several runs of a recipe
    Mutant("the test part is open without being asked", MODULE,
           "if not self.recipe.fit.open_test:", "if False:",
           ("tests/data/test_data.py::test_every_way_to_the_test_songs_passes_one_guard",)),
    Mutant("every run measures the test part", MODULE,
           'parts += ["test"] * (self.recipe.fit.open_test or self.split.is_open)',
           'parts += ["test"]',
           ("tests/training/test_open_test.py",)),
    Mutant("openings are not written to the ledger", JOURNAL,
           'self._keep({"kind": "opening", "what": dict(what), "time": _now()})', "pass",
           ("tests/training/test_open_test.py",)),
    Mutant("explaining a test song is no opening", CORPUS_SONGS,
           'data.open_part("test")', "pass", ("tests/training/test_open_test.py",)),
    Mutant("the ledger of other songs counts", OPENINGS,
           "known = ledger[np.logical_and.reduce([ledger[name] == value for name, value in of])]",
           "known = ledger", ("tests/results/test_openings.py",)),
    Mutant("luck ignores artists", BY_ARTIST,
           "drawn = np.stack([resampled(s, cluster) -",
           "drawn = np.stack([resampled(s, np.arange(s.shape[1])) -",
           ("tests/results/test_openings.py",)),
    Mutant("luck of the best against the worst", BY_ARTIST,
           "(drawn.max(0) - drawn.mean(0)).mean()", "(drawn.max(0) - drawn.min(0)).mean()",
           ("tests/results/test_openings.py",)),
    Mutant("runs of other code are taken for finished", SERIES,
           "code = {name: environment()[name] for name in CODE}", "code = {}",
           ("tests/training/test_series.py",)),
    Mutant("killed runs are taken for finished", SERIES,
           'ended = runs[same & (runs["status"] == "FINISHED")]', "ended = runs[same]",
           ("tests/training/test_series.py",)),
    Mutant("filtered_folds hold test songs of filtered", PROTOCOLS,
           'own = [song for part, song in gtzan_facts("filtered") if part != "test"]',
           'own = [song for part, song in gtzan_facts("filtered")]', (OF_PROTOCOLS,)),
    Mutant("the control's genres are not shuffled", PREPARED,
           "return np.random.default_rng(data.split_seed).permutation(numbers)",
           "return numbers", ("tests/ladder/test_ladder.py",)),
    Mutant("frozen batch norms learn on", LAYERS,
           "            part.eval()", "            pass", (HEARD,)),
    Mutant("the whole trunk is frozen where its last stages train", FINE_TUNING,
           "trunked.freeze([*chain(*stages[: len(stages) - trained])])",
           "trunked.freeze([*chain(*stages)])", (HEARD,)),
    Mutant("the first stages learn fastest", FINE_TUNING,
           "depth = len(stages) - 1 - number", "depth = number", (HEARD,)),
    Mutant("maps of one clip are taken for another's", KEPT,
           "return np.stack([self.numbers[row] for row in rows]).astype(np.float32)",
           "return np.stack([self.numbers[row] for row in sorted(rows)]).astype(np.float32)",
           (HEARD,)),
    Mutant("kept maps are computed again", KEPT, "new = [n for n, place in enumerate(places) "
           "if place not in self.row]", "new = list(range(len(places)))", (HEARD,)),
    Mutant("weights of another network are taken", WEIGHTS,
           "wrong = [n for n in wanted if n not in weights or weights[n].shape != own[n].shape]",
           "wrong = [n for n in wanted if n not in weights]", (HEARD,)),
    Mutant("a broken download is kept", WEIGHTS, "if total and sink.tell() < total:",
           "if total and sink.tell() < 0:", (HEARD,)),
    Mutant("EfficientAT's pictures are not emphasised", "gtzan_lightning/data/spectra.py",
           "wave[:, 1:] - EMPHASIS * wave[:, :-1]", "wave[:, 1:]",
           ("tests/data/test_features.py",)),
    Mutant("mapped pictures are stretched the wrong way", "gtzan_lightning/data/mapped.py",
           "corpus.seconds_per_frame / wanted.seconds_per_frame",
           "wanted.seconds_per_frame / corpus.seconds_per_frame", ("tests/data/test_features.py",)),
    Mutant("a system of many clips outweighs the others", "gtzan_lightning/results/ensemble.py",
           "voted = [vote(m[m[\"part\"] == part])", "voted = [m[m[\"part\"] == part]",
           ("tests/results/test_ensemble.py",)),
    Mutant(
        "a bomb is unpacked to its end", SOUND_FILES,
        "if done * header.channels > most:",
        "if done * header.channels > most * 1_000_000:",
        ("tests/data/test_decoding.py::test_sound_ends_at_its_bounds",),
    ),
    Mutant(
        "a named pipe is opened", SOUND_FILES,
        "if why := why_no_file(self.path):",
        "if why := why_no_file(self.path) and '':",
        ("tests/data/test_decoding.py::test_what_is_no_file_is_named_and_never_opened",),
    ),
    Mutant(
        "a decoder that hung is given the next file", DECODING,
        "        if process.is_fit:\n",
        "        if True:\n",
        ("tests/data/test_decoding.py::test_a_decoder_that_ends_or_hangs_costs_its_file",),
    ),
    Mutant(
        "the working folder's files stand in for libraries", DECODING,
        'COMMAND = [sys.executable, "-P", "-m"',
        'COMMAND = [sys.executable, "-m"',
        ("tests/data/test_decoding.py::test_files_of_the_working_folder_are_no_libraries",),
    ),
    Mutant(
        "the first block of a clip is never checked", RECORDINGS,
        "while (at := self._unread.find(1, at, end)) >= 0:",
        "while (at := self._unread.find(1, at + 1, end)) >= 0:",
        ("tests/data/test_recordings.py",),
    ),
    Mutant(
        "a damaged record counts", RECORDS,
        "        if line == _line(text):",
        "        if line[-1:] == b'\\n' and text[:1] == b'[':",
        ("tests/test_records.py",),
    ),
]
# fmt: on

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from conftest import RATE

from gtzan_lightning.data.telltale import tell_tale_columns
from gtzan_lightning.errors import UserError
from gtzan_lightning.models import BASELINES
from gtzan_lightning.models.baselines import log_probabilities, pipeline, summarise
from gtzan_lightning.recipe.baseline_settings import KnnSettings, SvmSettings
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.results import predictions as metrics
from gtzan_lightning.tracking.reading import openings, runs_table
from gtzan_lightning.training.train import train


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_lands_in_the_same_table_with_the_same_files(quick, name):
    flags = ["--data.features", "mfcc", "--data.synthetic_songs", "12"]
    flags += ["--model.summary", "mean", "--open-test"]
    recipe = quick(*flags, model=name)
    outcome = train(recipe)
    predictions = pd.read_csv(outcome.folder / "predictions.csv")
    assert set(predictions["part"]) == {"train", "valid", "test"}
    again = metrics.scores(predictions, "test")["song_accuracy"]
    assert outcome.scores["final/test/song_accuracy"] == pytest.approx(again)
    assert outcome.scores["final/valid/song_accuracy"] > 0.2  # ten genres: chance is 0.1
    run = runs_table(recipe.track).iloc[0]
    assert (run["model"], run["status"]) == (name, "FINISHED")
    assert run["features"] == "mfcc 20, 1 s"
    assert (run["test_openings"], len(openings(recipe.track))) == (1, 1)


def test_summaries_are_means_and_covariances():
    picture = torch.randn(3, 4, 50)
    assert np.allclose(summarise(picture, "mean"), picture.mean(2))
    assert summarise(picture, "flatten").shape == (3, 200)
    both = summarise(picture, "mean_covariance")
    assert both.shape == (3, 4 + 10)
    rows, columns = np.triu_indices(4)
    assert np.allclose(both[1, 4:], np.cov(picture[1].numpy())[rows, columns], atol=1e-5)
    with pytest.raises(UserError, match=r"of 1025 bins is 526,850 numbers .*model.summary mean"):
        summarise(torch.zeros(1, 1025, 4), "mean_covariance")


@pytest.mark.parametrize("settings", [KnnSettings(neighbours=1), SvmSettings()])
def test_scores_are_probabilities_that_agree_with_the_classifier(settings):
    random = np.random.default_rng(0)
    genre = np.arange(90) % 3
    vectors = random.normal(0, 1, (90, 5)) + genre[:, None]
    fitted = pipeline(settings, 0).fit(vectors, genre)
    scores = log_probabilities(fitted, vectors, 4)  # a fourth genre without a training song
    assert np.allclose(np.exp(scores).sum(1), 1)
    assert np.array_equal(scores.argmax(1), fitted.predict(vectors))
    assert np.isfinite(scores).all()
    assert (scores[:, 3] < np.log(0.01)).all()


def test_scaler_and_components_see_the_training_part_only(quick, monkeypatch):
    recipe = quick("--data.features", "mfcc", "--model.components", "5", model="svm")
    fits = []
    from sklearn.preprocessing import StandardScaler

    fit = StandardScaler.fit

    def watched(self, vectors, *rest, **named):
        fits.append(len(vectors))
        return fit(self, vectors, *rest, **named)

    monkeypatch.setattr(StandardScaler, "fit", watched)
    train(recipe)
    assert fits == [10 * 3 * 4]  # 3 of 6 songs a genre train; 4 clips of a second each


def table_file(tmp_path, quick, leak=True):
    """A feature table of noise, ordered by genre as Kaggle's is."""
    from gtzan_lightning.data.module import GenreData

    data = GenreData(quick())
    data.setup()
    noise = np.random.default_rng(0).normal(size=(len(data.corpus.ids), 4))
    table = pd.DataFrame(noise, columns=["rms", "zcr", "tempo", "centroid"])
    table.insert(0, "filename", [f"{id_}.wav" for id_ in data.corpus.ids])
    table["length"] = np.arange(len(table))
    table["label"] = [song["genre"] for song in data.corpus.songs]
    table.to_csv(tmp_path / "table.csv", index=False)
    return str(tmp_path / "table.csv")


def test_a_feature_table_is_honest_by_default_and_its_leak_is_marked(tmp_path, quick, capsys):
    flags = ["--model.table", table_file(tmp_path, quick)]
    honest = train(quick(*flags, model="random_forest"))
    leaky = quick(*flags, "--model.leaky_id", "true", model="random_forest")
    outcome = train(leaky)
    # numbers of noise can't tell a genre, not even the ordered length; the row number can
    figures = [o.scores["final/valid/song_accuracy"] for o in (honest, outcome)]
    assert figures[0] < 0.3
    assert figures[1] > figures[0] + 0.25
    assert "LEAKY FEATURE" in capsys.readouterr().out
    assert (outcome.folder / "LEAKY_predictions.csv").exists()
    assert "LEAKY FEATURE" in runs_table(leaky.track)["warning"].iloc[0]


def test_columns_that_tell_the_genre_are_refused_or_marked(tmp_path, quick):
    """The index column that pandas writes, a shuffled code of the genre, a row number."""
    table = pd.read_csv(table_file(tmp_path, quick))
    indexed, coded, numbered = (tmp_path / f"{name}.csv" for name in ("index", "code", "number"))
    table.to_csv(indexed)
    code = {genre: n for n, genre in enumerate(["pop", "jazz", "rock", "blues", "metal", "disco"])}
    coded_table = table.assign(mood=table["label"].map(code).fillna(9) + 0.01 * table["rms"])
    coded_table.sample(frac=1, random_state=0).to_csv(coded, index=False)
    table.assign(order=np.arange(len(table)) * 2 + 7).to_csv(numbered, index=False)
    for file, said in (
        (indexed, r"\(no name\) numbers the rows"),
        (coded, r"mood alone \d\d points above chance"),
        (numbered, "order numbers the rows"),
    ):
        with pytest.raises(UserError, match=f"without music: {said}.*model.columns"):
            train(quick("--model.table", str(file), model="random_forest"))
    asked = quick(
        "--model.table", str(indexed), "--model.leaky_columns", "true", model="random_forest"
    )
    outcome = train(asked)
    assert outcome.scores["final/valid/song_accuracy"] >= 0.4  # of noise; chance is 0.1
    assert (outcome.folder / "LEAKY_predictions.csv").exists()
    assert "LEAKY FEATURE" in runs_table(asked.track)["warning"].iloc[0]


def test_a_table_of_songs_of_ones_own_names_them_with_their_suffix(tmp_path, tone):
    rows = ["filename,a,b"]
    for song in range(20):
        genre = ("speech", "birds")[song % 2]
        (tmp_path / "songs" / genre).mkdir(parents=True, exist_ok=True)
        name = f"{genre}/take{song}.wav"
        soundfile.write(tmp_path / "songs" / name, np.roll(tone, song), RATE)
        rows.append(f"{name},{song % 2 + song % 5},{song % 5}")
    (tmp_path / "own.csv").write_text("\n".join(rows))
    recipe = Recipe.load("logistic_regression", {
        "data.corpus": "folder", "data.root": str(tmp_path / "songs"), "data.clip_seconds": 1,
        "data.packed": str(tmp_path / "packed"), "track.folder": str(tmp_path / "runs"),
        "model.table": str(tmp_path / "own.csv"),
    })  # fmt: skip
    predicted = pd.read_csv(train(recipe).folder / "predictions.csv")
    assert predicted["song"].str.fullmatch(r"(speech|birds)/take\d+.wav").all()


def test_no_column_of_the_published_table_is_refused(real_data):
    table = pd.read_csv(real_data / "facts" / "features_30_sec.csv")
    honest = table.drop(columns=["filename", "length", "label"])
    assert tell_tale_columns(honest, table["label"]) == {}
    assert list(tell_tale_columns(table.reset_index()[["index"]], table["label"])) == ["index"]


def test_bad_tables_and_too_few_clips_are_one_line(tmp_path, quick):
    good = table_file(tmp_path, quick)
    (tmp_path / "other.csv").write_text("filename,a\nblues.00000.wav,1\n")
    (tmp_path / "text.csv").write_text("filename,a\nblues.s0000.wav,1\nblues.s0001.wav,x\n")
    (tmp_path / "none.csv").write_text("a,b\n1,2\n")
    for flags, said in (
        (["--model.table", str(tmp_path / "missing.csv")], "can't be read"),
        (["--model.table", str(tmp_path / "other.csv")], r"lacks 60 of 60 songs, such as blues"),
        (["--model.table", str(tmp_path / "text.csv")], r"line 3: .* no number: leave that"),
        (["--model.table", str(tmp_path / "none.csv")], "no rows with a filename or id column"),
        (["--model.table", good, "--model.columns", "temp"], "has no column temp"),
        (["--model.neighbours", "500"], "too few for model.neighbours"),
    ):
        with pytest.raises(UserError, match=said):
            train(quick(*flags, model="knn"))


@pytest.mark.parametrize("components", [None, 3])
def test_what_is_predicted_of_a_clip_does_not_depend_on_its_neighbours(components):
    """Neither scaler nor PCA learns from the clips that are predicted."""
    random = np.random.default_rng(0)
    genre = np.arange(90) % 3
    vectors = random.normal(0, 1, (90, 5)) + genre[:, None]
    fitted = pipeline(SvmSettings(components=components), 0).fit(vectors, genre)
    others = random.normal(3, 5, (40, 5))
    alone = log_probabilities(fitted, others[:5], 3)
    np.testing.assert_allclose(log_probabilities(fitted, others, 3)[:5], alone)

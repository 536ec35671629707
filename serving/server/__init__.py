"""The local server: TensorFlow Serving's gRPC and REST protocols over `tf.saved_model`, without Docker.

For development and small use; production runs TensorFlow Serving itself, with the same exports and clients.

    refusal.py      what is answered instead of a result: a status code and one line
    config.py       settings of the server, and TensorFlow Serving's own model configuration
    tensors.py      tensors of requests, checked before any memory is taken
    servable.py     one loaded version of a model
    models.py       which versions are loaded: policies, labels, hot swap
    batching.py     requests of equal shapes run together
    examples.py     tf.Example in, classes and values out
    service.py      the calls, whatever the protocol
    rest_json.py    JSON in, JSON out
    bodies.py       bodies of HTTP requests, bounded
    grpc_api.py, rest_api.py, metrics.py
    local.py        all of it together, from start to drain
"""

"""From a trained ranker to TensorFlow Serving.

    export.py       the SavedModel: signatures, item table, warm-up requests
    versions.py     version folders, each published whole
    check.py        the export in a bare process, against the ranker in this one
    bare.py         that process

A model is exported, checked and published so; a check that fails publishes nothing:

    def fill(folder):
        export_ranker(ranker, tokenizer, items, quantizer, folder, example)
        return {"largest_difference": verify_export(folder, ranker, tokenizer, items, quantizer, example)}

    export = publish_export("models/ranker", fill, (ranker_artifact, quantizer.artifact), config)

Importing the package imports none of its parts, so that a client needs no TensorFlow.
"""

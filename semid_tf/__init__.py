"""Semantic IDs for TensorFlow recommenders.

Importing the package selects Keras 2 for the process, the Keras that TFRS works with.
"""

from semid_tf._keras2 import require_keras_2

require_keras_2()

from semid_tf.artifacts import (  # noqa: E402
    Artifact,
    ArtifactStore,
    Made,
    Manifest,
    fingerprint,
    open_artifact,
    publish,
    read_manifest,
    staging,
)
from semid_tf.config import (  # noqa: E402
    CodeSpace,
    DataConfig,
    EvaluationConfig,
    RankerConfig,
    RQVAEConfig,
    RunConfig,
    TokenizationConfig,
    load_run_config,
)
from semid_tf.errors import (  # noqa: E402
    ArtifactError,
    CodesError,
    ConfigError,
    DataError,
    ProvenanceError,
    SemidError,
    TrainingError,
)
from semid_tf.ids import (  # noqa: E402
    ItemTable,
    format_semantic_id,
    format_semantic_ids,
    parse_semantic_ids,
    require_codes,
)
from semid_tf.quantizer import (  # noqa: E402
    RQVAE,
    LinearPlusMLP,
    Quantized,
    ResidualQuantizer,
    SavedQuantizer,
    code_counts,
    code_usage,
    fit_rqvae,
    load_quantizer,
    normalized_mse,
    perplexity,
    save_quantizer,
    unique_rate,
)

from semid_tf.data import (  # noqa: E402
    Examples,
    Interactions,
    Items,
    Splits,
    complete_journey,
    drop_unknown,
    embed_texts,
    interactions_from_table,
    items_from_table,
    ranking_examples,
    read_interactions,
    read_items,
    read_tables,
    scoring_batches,
    synthetic_interactions,
    synthetic_items,
    training_batches,
    write_tables,
)
from semid_tf.evaluation import Interval, auc, bootstrap_auc  # noqa: E402
from semid_tf.layers import (  # noqa: E402
    CatalogueEmbedding,
    DenseContentEmbedding,
    HashedEmbedding,
    PieceEmbedding,
    SemanticEmbedding,
)
from semid_tf.models import Ranker  # noqa: E402
from semid_tf.tokenization import (  # noqa: E402
    NgramTokenizer,
    PrefixTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    train_sentencepiece,
)
from semid_tf.training import fit_ranker, score_examples  # noqa: E402

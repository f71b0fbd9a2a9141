"""The claims of the documents, the predictions of the book, and the calls that decide them.

A claim is decided by the value of an executed check::

    audit.decide("001-049", holds=abs(sigma_2 - claimed) < tolerance)

The call raises :class:`AuditError` when the record disagrees, and refuses evidence that the cell
did not compute. Its value shows the claim, the verdict and the correct statement.
"""

from actbook.audit.decisions import decide, fold, predict, score
from actbook.audit.errors import AuditError, UnknownRecord
from actbook.audit.records import (
    KINDS,
    OUTCOMES,
    VERDICTS,
    Claim,
    Document,
    Prediction,
    claims,
    count,
    documents,
    predictions,
    schema,
    select,
)
from actbook.audit.scoring import Bin, brier, calibration, hit_rate

__all__ = [
    "KINDS",
    "OUTCOMES",
    "VERDICTS",
    "AuditError",
    "Bin",
    "Claim",
    "Document",
    "Prediction",
    "UnknownRecord",
    "brier",
    "calibration",
    "claims",
    "count",
    "decide",
    "documents",
    "fold",
    "hit_rate",
    "predict",
    "predictions",
    "schema",
    "score",
    "select",
]

"""Of several people's phrases the one that is most like the others', by how they rank the images."""

from __future__ import annotations

import numpy as np
import pytest

from clarify.errors import FeatureError
from clarify.method.decisions.consensus import agreement, medoid


def test_phrases_agree_by_ranks_whatever_their_scale_and_direction() -> None:
    scores = np.array([[1, 2, 3, 4], [10, 20, 30, 400], [4, 3, 2, 1], [1, 2, 4, 3], [5, 5, 5, 5]], float)
    found = agreement(scores)
    assert found[0].tolist() == pytest.approx([1, 1, 1, 0.8, 0])  # 1 - 6 * 2 / (4 * 15) = .8
    assert np.array_equal(found, found.T)


def test_the_medoid_is_what_most_mean_and_not_the_odd_one() -> None:
    rng = np.random.default_rng(0)
    meant = rng.normal(size=50)
    scores = np.stack(
        [rng.normal(size=50), *(meant + spread * rng.normal(size=50) for spread in (2, 0.1, 1))]
    )
    assert medoid(scores) == 2
    assert medoid(scores[:1]) == 0


@pytest.mark.parametrize("scores", [np.zeros(3), np.empty((0, 4)), np.array([[1.0, np.nan]])])
def test_what_is_no_table_of_scores_is_refused(scores: np.ndarray) -> None:
    with pytest.raises(FeatureError, match="a row of finite numbers"):
        agreement(scores)

"""Methods to compare with: independent references, cases by hand, a planted failure, refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from clarify.errors import ClarifyError, FeatureError, GroupError, InputError
from clarify.evidence.afr import afr_weights
from clarify.evidence.baselines import (
    Candidate,
    afr,
    cvar_dro,
    dfr_subsampled,
    dfr_upsampled,
    group_dro,
    jtt,
    rwy,
)
from clarify.evidence.prepared import Prepared
from clarify.method.fit.head import Head, Standardisation
from clarify.method.fit.objectives import CvarDro, Erm, Weighted
from clarify.method.fit.selection import ByAnnotatedWorstGroup, hold_out, select
from clarify.method.fit.training import fit_head
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups
from clarify.method.groups.metrics import evaluate

GROUPS = ("landbird · land", "landbird · water", "waterbird · land", "waterbird · water")
NAMES = ("landbird", "waterbird")


def data(
    count: int = 200, width: int = 6, classes: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Classes of unlike sizes that overlap."""
    rng = np.random.default_rng(seed)
    labels = np.minimum(rng.geometric(0.6, size=count) - 1, classes - 1)
    centres = 1.5 * rng.normal(size=(classes, width))
    features = centres[labels] + 1.5 * rng.normal(size=(count, width))
    return features.astype(np.float32), labels, tuple(f"class {k}" for k in range(classes))


def planted(
    counts: tuple[int, ...], seed: int, *, width: int = 12, core: float = 1.2, spurious: float = 2.0
) -> tuple[np.ndarray, np.ndarray, AnnotatedGroups]:
    """Draw a weak feature that tells the class, and a strong one that mostly goes with it."""
    rng = np.random.default_rng(seed)
    cell = rng.permutation(np.repeat(np.arange(4), counts))
    labels, places = cell // 2, cell % 2
    features = rng.normal(size=(len(cell), width))
    features[:, 0] += core * (2 * labels - 1)
    features[:, 1] += spurious * (2 * places - 1)
    return features.astype(np.float32), labels, AnnotatedGroups(index=cell, names=GROUPS)


def by_scikit_learn(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, decay: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Fit the weighted mean plus ``decay / 2 * |W|^2``; its bias is not penalised either."""
    standardisation = Standardisation.fit(features)
    # Two classes are one vector there: half the decay, as explained in `links`.
    penalty = decay / 2 if labels.max() == 1 else decay
    model = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000)
    model.fit(standardisation.apply(features), labels, sample_weight=weights / weights.sum())
    return lambda rows: np.asarray(model.predict_proba(standardisation.apply(rows)))


def same_heads(one: Head, other: Head, features: np.ndarray, atol: float = 3e-3) -> None:
    np.testing.assert_allclose(one.probabilities(features), other.probabilities(features), atol=atol)


# --- weighted -----------------------------------------------------------------------------------


def test_the_weighted_value_is_that_found_by_hand_at_any_scale_of_the_weights() -> None:
    assert Weighted(weights=np.array([1.0, 0.0, 3.0])).value([4.0, 100.0, 8.0]) == 7.0
    huge = Weighted(weights=np.array([1e308, 0.0, 1e308]))
    assert huge.value([4.0, 100.0, 8.0]) == 6.0
    assert huge.weights.tolist() == [0.5, 0.0, 0.5]
    assert not huge.weights.flags.writeable
    assert huge.name == "weighted"


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0, -0.5], InputError, r"weighted: weight 1 is -0\.5; 0 or more is legal"),
        ([0.0, 0.0], InputError, r"none of the 2 weights is above 0"),
        ([], InputError, r"none of the 0 weights is above 0"),
        ([1.0, np.nan], FeatureError, r"weights: entry 1 is nan"),
        ([[1.0]], FeatureError, r"weights: has shape \(1, 1\)"),
    ],
)
def test_weights_that_are_not_legal_are_refused(
    weights: list[float], error: type[ClarifyError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Weighted(weights=np.asarray(weights))


def test_weights_of_other_examples_are_refused() -> None:
    features, labels, names = data()
    objective = Weighted(weights=np.ones(3))
    with pytest.raises(FeatureError, match=r"3 weights for 200 examples"):
        fit_head(features, labels, names, objective, 0.1)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_weighted_head_is_that_of_scikit_learn(classes: int) -> None:
    features, labels, names = data(classes=classes)
    weights = np.random.default_rng(1).exponential(size=len(labels))
    weights[::7] = 0.0
    fit = fit_head(features, labels, names, Weighted(weights=weights), 0.05, tolerance=1e-7)
    expected = by_scikit_learn(features, labels, weights, 0.05)(features)
    np.testing.assert_allclose(fit.head.probabilities(features), expected, atol=2e-3)


def test_images_prepared_once_give_the_heads_of_separate_fits() -> None:
    features, labels, names = data(classes=3)
    weights = np.random.default_rng(1).exponential(size=len(labels))
    weights[::7] = 0.0
    prepared = Prepared.of(features, labels, names)
    for objective in (Weighted(weights=weights), CvarDro(alpha=0.3)):
        found = prepared.candidates(objective, (0.01, 0.3), {"of": objective.name})
        assert [candidate.weight_decay for candidate in found] == [0.3, 0.01]
        for candidate in found:
            alone = fit_head(features, labels, names, objective, candidate.weight_decay)
            same_heads(candidate.head, alone.head, features, atol=1e-2)
            assert candidate.settings == {"of": objective.name}


# --- without groups -----------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3])
def test_reweighting_classes_is_balanced_class_weight_of_scikit_learn(classes: int) -> None:
    features, labels, names = data(classes=classes)
    found = rwy(features, labels, names, weight_decays=(0.2, 0.05))
    assert [candidate.weight_decay for candidate in found] == [0.2, 0.05]
    x = Standardisation.fit(features).apply(features)
    for candidate in found:
        penalty = candidate.weight_decay / (2 if classes == 2 else 1)
        model = LogisticRegression(
            C=1 / (penalty * len(labels)), class_weight="balanced", tol=1e-10, max_iter=10_000
        )
        expected = model.fit(x, labels).predict_proba(x)
        np.testing.assert_allclose(candidate.head.probabilities(features), expected, atol=3e-3)


def test_cvar_offers_every_share_at_every_weight_decay() -> None:
    features, labels, names = data()
    found = cvar_dro(features, labels, names, alphas=(0.5, 1.0), weight_decays=(0.1, 1.0))
    assert [(c.settings["alpha"], c.weight_decay) for c in found] == [
        (0.5, 1.0),
        (0.5, 0.1),
        (1.0, 1.0),
        (1.0, 0.1),
    ]
    same_heads(found[2].head, fit_head(features, labels, names, Erm(), 1.0).head, features)
    worst = fit_head(features, labels, names, CvarDro(alpha=0.5), 0.1)
    same_heads(found[1].head, worst.head, features, atol=1e-2)


def test_jtt_gives_the_weight_to_what_the_first_head_gets_wrong() -> None:
    features, labels, names = data()
    first = fit_head(features, labels, names, Erm(), 2.0).head
    wrong = first.predict(features) != labels
    assert 5 < wrong.sum() < len(labels) / 2
    found = jtt(
        features, labels, names, identification_decays=(2.0,), upweights=(3.0, 10.0), weight_decays=(0.1,)
    )
    assert [dict(candidate.settings) for candidate in found] == [
        {
            "identification_weight_decay": 2.0,
            "errors": int(wrong.sum()),
            "upweight": upweight,
            "second_stage": "weighted",
        }
        for upweight in (3.0, 10.0)
    ]
    # The paper's way: each wrong image three times. Its copies change the standardisation, so the
    # reference standardises by the images as they are.
    x = Standardisation.fit(features).apply(features)
    rows = np.concatenate([np.arange(len(labels)), *2 * [np.flatnonzero(wrong)]])
    model = LogisticRegression(C=1 / (len(rows) * 0.05), tol=1e-10, max_iter=10_000)
    expected = model.fit(x[rows], labels[rows]).predict_proba(x)
    np.testing.assert_allclose(found[0].head.probabilities(features), expected, atol=3e-3)


def test_jtt_whose_first_head_gets_everything_right_says_so_and_is_erm() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = (rng.normal(size=(60, 3)) * 0.1 + np.outer(2 * labels - 1, [3.0, 1.0, 0.0])).astype(np.float32)
    found = jtt(features, labels, NAMES, identification_decays=(0.1,), weight_decays=(1.0, 0.1))
    assert [candidate.weight_decay for candidate in found] == [1.0, 0.1]
    for candidate in found:
        assert candidate.settings["errors"] == 0
        assert candidate.settings["second_stage"] == "erm: the error set is empty"
        erm = fit_head(features, labels, NAMES, Erm(), candidate.weight_decay)
        same_heads(candidate.head, erm.head, features)


def test_afr_weights_are_those_found_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    labels = np.array([0, 0, 1])
    raw = np.array([np.exp(-2 * 0.5) / 2, np.exp(-2 * 0.25) / 2, 1.0])
    np.testing.assert_allclose(afr_weights(probabilities, labels, 2.0), raw / raw.sum())
    np.testing.assert_allclose(afr_weights(probabilities, labels, 0.0), [0.25, 0.25, 0.5])
    # So large a gamma leaves the image that ERM does worst.
    np.testing.assert_allclose(afr_weights(probabilities, labels, 1e5), [0.0, 0.0, 1.0])


@pytest.mark.parametrize("classes", [2, 3])
def test_afr_ends_at_the_optimum_of_its_objective(classes: int) -> None:
    features, labels, names = data(count=400, classes=classes)
    gamma, strength = 4.0, 0.02
    (found,) = afr(
        features, labels, names, gammas=(gamma,), strengths=(strength,), weight_decays=(0.05,), seed=5
    )
    fitting, held = hold_out(labels, share=0.2, seed=5)
    assert found.settings == {"gamma": 4.0, "strength": 0.02, "held_out": len(held), "seed": 5}
    erm = fit_head(features[fitting], labels[fitting], names, Erm(), 0.05).head
    unit = features[held] / np.linalg.norm(features[held], axis=1, keepdims=True)
    x = (unit - erm.mean) / erm.scale
    truth = labels[held]
    of_truth = erm.probabilities(features[held])[np.arange(len(held)), truth]
    mu = np.exp(-gamma * of_truth) / np.bincount(truth)[truth]
    mu /= mu.sum()
    anchor = np.column_stack((erm.weight, erm.bias)).ravel().astype(np.float64)

    def objective(flat: np.ndarray) -> float:
        head = flat.reshape(classes, -1)
        logits = x @ head[:, :-1].T + head[:, -1]
        losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(held)), truth]
        return float(mu @ losses + strength * ((flat - anchor) ** 2).sum())

    reached = np.column_stack((found.head.weight, found.head.bias)).ravel().astype(np.float64)
    # From the definition alone: no slope is given, so scipy takes differences.
    best = minimize(objective, anchor, method="BFGS", options={"gtol": 1e-5})
    assert objective(reached) <= best.fun + 2e-6
    np.testing.assert_allclose(reached, best.x, atol=5e-3)
    assert objective(reached) < objective(anchor) - 1e-3
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert objective(reached + 0.02 * rng.normal(size=reached.shape)) > objective(reached)


def test_afr_of_great_strength_stays_at_erm_and_its_grid_is_whole() -> None:
    features, labels, names = data()
    found = afr(features, labels, names, gammas=(0.0, 2.0), strengths=(1e4, 0.1), weight_decays=(0.1, 1.0))
    assert [(c.weight_decay, c.settings["gamma"], c.settings["strength"]) for c in found] == [
        (decay, gamma, strength) for decay in (1.0, 0.1) for gamma in (0.0, 2.0) for strength in (1e4, 0.1)
    ]
    fitting, _ = hold_out(labels, share=0.2, seed=0)
    erm = fit_head(features[fitting], labels[fitting], names, Erm(), 1.0).head
    same_heads(found[0].head, erm, features)


# --- the planted failure ------------------------------------------------------------------------


def worst_groups(
    width: int, core: float, spurious: float, train: tuple[int, ...], *names: str
) -> dict[str, float]:
    """Return the accuracy of the worst group on new images by method, chosen on other images."""
    draws = ((train, 0), ((150, 150, 100, 100), 1), ((1000,) * 4, 2))
    (features, labels, groups), judging, unseen = (
        planted(counts, seed, width=width, core=core, spurious=spurious) for counts, seed in draws
    )
    methods: dict[str, Callable[[], list[Candidate]]] = {
        "erm": lambda: Prepared.of(features, labels, NAMES).candidates(Erm(), (1.0, 0.1, 0.01, 0.001), {}),
        "jtt": lambda: jtt(features, labels, NAMES),
        "afr": lambda: afr(features, labels, NAMES),
        "cvar_dro": lambda: cvar_dro(features, labels, NAMES),
        "group_dro": lambda: group_dro(features, labels, NAMES, groups),
        "dfr_subsampled": lambda: dfr_subsampled(judging[0], judging[1], NAMES, judging[2]),
        "dfr_upsampled": lambda: dfr_upsampled(judging[0], judging[1], NAMES, judging[2]),
    }
    found: dict[str, float] = {}
    for name in names:
        chosen = select(methods[name](), judging[0], judging[1], ByAnnotatedWorstGroup(), groups=judging[2])
        said = chosen.fit.head.predict(unseen[0])
        worst = evaluate(said, unseen[1], NAMES, groups=unseen[2]).worst_group
        assert worst is not None
        found[name] = worst
    return found


def test_erm_fails_the_minority_and_methods_that_know_groups_rescue_it() -> None:
    oracles = ("group_dro", "dfr_subsampled", "dfr_upsampled")
    worst = worst_groups(12, 1.2, 2.0, (1500, 75, 40, 700), "erm", *oracles)
    assert worst["erm"] < 0.5
    assert all(worst[name] > worst["erm"] + 0.3 for name in oracles), worst


def test_afr_rescues_the_minority_where_features_are_few() -> None:
    # Here ERM's errors are as often noise as minority, so JTT would not help.
    worst = worst_groups(12, 1.2, 2.0, (1500, 75, 40, 700), "erm", "afr")
    assert worst["afr"] > worst["erm"] + 0.2, worst


def test_jtt_and_cvar_rescue_the_minority_where_features_are_many() -> None:
    # Here the majority is fitted whole, so what is wrong or of great loss is the minority; too
    # few of it are held out for AFR to help.
    worst = worst_groups(600, 2.0, 4.0, (700, 40, 20, 240), "erm", "jtt", "cvar_dro")
    assert worst["jtt"] > worst["erm"] + 0.08, worst
    assert worst["cvar_dro"] > worst["erm"] + 0.04, worst


# --- refusals -----------------------------------------------------------------------------------


def with_nan(features: np.ndarray, row: int) -> np.ndarray:
    spoilt = features.copy()
    spoilt[row, 1] = np.nan
    return spoilt


def test_every_method_names_the_row_that_is_nan() -> None:
    features, labels, groups = planted((20, 20, 20, 20), 0)
    spoilt = with_nan(features, 63)
    for method in (rwy, cvar_dro, jtt, afr):
        with pytest.raises(FeatureError, match=r"row 63 is NaN or infinite"):
            method(spoilt, labels, NAMES)
    for oracle in (group_dro, dfr_subsampled, dfr_upsampled):
        with pytest.raises(FeatureError, match=r"row 63 is NaN or infinite"):
            oracle(spoilt, labels, NAMES, groups)


def test_every_method_refuses_labels_of_other_images_and_a_class_without_images() -> None:
    features, labels, groups = planted((20, 20, 20, 20), 0)
    for method in (rwy, cvar_dro, jtt, afr):
        with pytest.raises(FeatureError, match=r"features of 80 images for 79 labels"):
            method(features, labels[1:], NAMES)
        with pytest.raises(InputError, match=r"class 'gull' has no"):
            method(features, labels, (*NAMES, "gull"))
        with pytest.raises(InputError, match=r"only 'bird' was given"):
            method(features, 0 * labels, ("bird",))
    for oracle in (group_dro, dfr_subsampled, dfr_upsampled):
        with pytest.raises(InputError, match=r"class 'gull' has no"):
            oracle(features, labels, (*NAMES, "gull"), groups)


def test_dfr_names_the_group_that_is_too_small_and_refuses_other_groups() -> None:
    features, labels, groups = planted((20, 20, 0, 20), 0)
    one = planted((20, 1, 20, 20), 0)
    for method in (dfr_subsampled, dfr_upsampled):
        with pytest.raises(GroupError, match=r"'waterbird · land' has 0 validation images"):
            method(features, labels, NAMES, groups)
        with pytest.raises(GroupError, match=r"'landbird · water' has 1 validation images"):
            method(one[0], one[1], NAMES, one[2])
        with pytest.raises(GroupError, match=r"groups of 61 images for 60 labels"):
            method(features, labels, NAMES, one[2])


def test_oracles_refuse_described_groups() -> None:
    features, labels, _ = planted((20, 20, 20, 20), 0)
    described = DescribedGroups(index=labels, names=NAMES)
    for method in (group_dro, dfr_subsampled, dfr_upsampled):
        with pytest.raises(InputError, match=r"a DescribedGroups was given; AnnotatedGroups"):
            method(features, labels, NAMES, described)  # type: ignore[arg-type]


def test_group_methods_name_a_group_without_training_images() -> None:
    features, labels, groups = planted((20, 20, 0, 20), 0)
    with pytest.raises(GroupError, match=r"'waterbird · land' has no training images"):
        group_dro(features, labels, NAMES, groups)


def test_grids_that_are_not_legal_are_refused() -> None:
    features, labels, groups = planted((20, 20, 20, 20), 0)
    with pytest.raises(InputError, match=r"alphas: \[\]; one or more"):
        cvar_dro(features, labels, NAMES, alphas=())
    with pytest.raises(InputError, match=r"cvar: alpha is 1.5"):
        cvar_dro(features, labels, NAMES, alphas=(1.5,))
    with pytest.raises(InputError, match=r"upweights: -2.0 is given"):
        jtt(features, labels, NAMES, upweights=(-2.0,))
    with pytest.raises(InputError, match=r"identification decays: \[1.0, 1.0\]"):
        jtt(features, labels, NAMES, identification_decays=(1.0, 1.0))
    with pytest.raises(InputError, match=r"gammas: nan is given"):
        afr(features, labels, NAMES, gammas=(float("nan"),))
    with pytest.raises(InputError, match=r"gammas: \[1.0, 1.0\]; one or more distinct"):
        afr(features, labels, NAMES, gammas=(1.0, 1.0))
    with pytest.raises(InputError, match=r"strengths: 0.0 is given"):
        afr(features, labels, NAMES, strengths=(0.0,))
    with pytest.raises(InputError, match=r"share is 1.0"):
        afr(features, labels, NAMES, share=1.0)
    with pytest.raises(InputError, match=r"subsamples is 0; 1 or more"):
        dfr_subsampled(features, labels, NAMES, groups, subsamples=0)
    with pytest.raises(InputError, match=r"weight decays: 0 is given"):
        dfr_upsampled(features, labels, NAMES, groups, weight_decays=(0,))


def test_afr_names_the_class_of_which_nothing_can_be_held_out() -> None:
    features, labels, _ = planted((40, 0, 1, 1), 0)
    with pytest.raises(GroupError, match=r"class 'waterbird': none of its 2 images is held out"):
        afr(features, labels, NAMES)

"""Automatic Feature Reweighting, for a last layer: refit on held-out images that ERM does badly.

Source: "Simple and Fast Group Robustness by Automatic Feature Reweighting", Qiu et al. 2023, arXiv
2306.11074. The proximal term is about the ERM head and not about 0, so this is not one of the
problems of `convex`; it is strongly convex, which bounds how far the solver ends from the optimum.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import GroupError, InputError, SolverError
from clarify.evidence.prepared import Candidate, check_grid, checked
from clarify.method.fit.head import Head, Standardisation
from clarify.method.fit.links import Softmax
from clarify.method.fit.objectives import Erm
from clarify.method.fit.selection import hold_out
from clarify.method.fit.training import sweep

__all__ = ["afr", "afr_weights"]

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

MOST_ITERATIONS = 3000
AFR_NATS = 1e-6
"""How far the objective may be from its optimum."""


def afr(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    gammas: Sequence[float] = (0.0, 1.0, 4.0, 16.0),
    strengths: Sequence[float] = (0.3, 0.03, 0.003),
    weight_decays: Sequence[float] = (0.1, 0.01),
    share: float = 0.2,
    seed: int = 0,
) -> list[Candidate]:
    """Automatic Feature Reweighting: refit the last layer on held-out images the first does badly.

    An ERM head is fitted to most of the images. On those held out, image i of class y weighs
    ``mu_i ~ exp(-gamma * p_i) / n_y``, with p_i the probability that ERM gives to its true class
    and n_y the held-out images of that class, and the head moves from ERM's to the optimum of
    ``sum_i mu_i loss_i + strength * (||W - W_erm||^2 + ||b - b_erm||^2)``.

    Supervision: class labels. Source: "Simple and Fast Group Robustness by Automatic Feature
    Reweighting" (Qiu et al. 2023, arXiv 2306.11074). Departs: the paper trains a whole network on
    the first part and stops the refit early; here the first part fits a last layer too, and the
    refit goes to its optimum, so the strength (the paper's lambda, which may be 0 there) must be
    positive. Images are held out class by class, and distances are between weights on
    standardised features.

    Parameters
    ----------
    features, labels, class_names
        As in `fit_head`; each class needs at least 3 images, so that one is held out.
    gammas : sequence of float
        0 or more, distinct; 0 only balances the classes.
    strengths : sequence of float
        Distinct, positive.
    weight_decays : sequence of float
        Of the ERM head; distinct, positive.
    share : float
        Of the images to hold out, in (0, 1).
    seed : int
        Of the hold-out.

    Returns
    -------
    list of Candidate
        One a weight decay, gamma and strength; ``settings`` has ``gamma``, ``strength``,
        ``held_out`` (images) and ``seed``.

    Raises
    ------
    FeatureError, GroupError, InputError
        For features, labels or settings that are not legal, or a class with too few images.
    SolverError
        Where an optimum was not reached.
    """
    check_grid("strengths", strengths)
    _check_gammas(gammas)
    rows, truth, names = checked(features, labels, class_names)
    fitting, held = hold_out(truth, share=share, seed=seed)
    _check_held(truth, truth[held], names)
    found: list[Candidate] = []
    for fit in sweep(rows[fitting], truth[fitting], names, Erm(), weight_decays):
        for gamma in gammas:
            refit = _Refit.of(fit.head, rows[held], truth[held], float(gamma))
            for strength in strengths:
                settings = {"gamma": gamma, "strength": strength, "held_out": len(held), "seed": seed}
                head = refit.solve(float(strength))
                found.append(Candidate(head=head, weight_decay=fit.weight_decay, settings=settings))
    return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Refit:
    """AFR's second stage at one gamma: what moves is the change of the ERM head."""

    head: Head
    x: Array
    logits: Array
    labels: Labels
    weights: Array

    @classmethod
    def of(cls, head: Head, features: NDArray[np.floating], labels: Labels, gamma: float) -> _Refit:
        standardised = Standardisation(mean=head.mean, scale=head.scale).apply(features)
        return cls(
            head=head,
            x=np.column_stack((standardised, np.ones(len(labels)))),
            logits=head.logits(features),
            labels=labels,
            weights=afr_weights(head.probabilities(features), labels, gamma),
        )

    def objective(self, flat: Array, strength: float) -> tuple[float, Array]:
        """Return the value, in nats, and its slope at a change (D + 1, K), both flattened."""
        link = Softmax(self.logits.shape[1])
        change = flat.reshape(-1, link.columns)
        logits = self.logits + self.x @ change
        losses = link.losses(logits, self.labels)
        slopes = link.minus_truth(link.probabilities(logits), self.labels)
        slopes *= self.weights[:, None]
        slope = self.x.T @ slopes + 2 * strength * change
        return float(self.weights @ losses + strength * (flat @ flat)), slope.ravel()

    def solve(self, strength: float) -> Head:
        """Return the head at the optimum, by L-BFGS."""
        from scipy.optimize import minimize

        size = self.x.shape[1] * self.logits.shape[1]
        # The objective is 2 * strength strongly convex: it is within |slope|^2 / (4 * strength).
        small = float(np.sqrt(4 * strength * AFR_NATS / size))
        options = {
            "maxiter": MOST_ITERATIONS,
            "maxfun": 2 * MOST_ITERATIONS,
            "gtol": small,
            "ftol": 0.0,
            "maxcor": 20,
        }
        done = minimize(
            self.objective, np.zeros(size), args=(strength,), jac=True, method="L-BFGS-B", options=options
        )
        gap = float(done.jac @ done.jac) / (4 * strength)
        if not gap <= AFR_NATS:
            raise SolverError(
                f"afr at strength {strength:g}: up to {gap:.2g} nats from the optimum after "
                f"{done.nit} steps, {AFR_NATS:g} was asked; use a larger strength"
            )
        change = done.x.reshape(-1, self.logits.shape[1])
        weight = self.head.weight + change[:-1].T
        return dataclasses.replace(
            self.head, weight=weight.astype(np.float32), bias=(self.head.bias + change[-1]).astype(np.float32)
        )


def afr_weights(probabilities: Array, labels: Labels, gamma: float) -> Array:
    """Return AFR's weights of images: ``exp(-gamma * p_i) / n_y``, scaled to add up to 1.

    Parameters
    ----------
    probabilities : ndarray of float64, (N, K)
        Those that the ERM head gives, in [0, 1].
    labels : ndarray of int64, (N,)
    gamma : float
        0 or more.

    Returns
    -------
    ndarray of float64, (N,)
    """
    right = probabilities[np.arange(len(labels)), labels]
    # The least probability is subtracted: a factor common to all, and nothing underflows to 0.
    raw = np.exp(-gamma * (right - right.min())) / np.bincount(labels)[labels]
    return np.asarray(raw / raw.sum(), dtype=np.float64)


def _check_gammas(gammas: Sequence[float]) -> None:
    if not gammas or len(set(gammas)) != len(gammas):
        raise InputError(f"gammas: {list(gammas)}; one or more distinct ones are legal")
    for gamma in gammas:
        if not (np.isfinite(gamma) and gamma >= 0):
            raise InputError(f"gammas: {gamma} is given; a finite number of 0 or more is legal")


def _check_held(labels: Labels, held: Labels, names: tuple[str, ...]) -> None:
    counts = np.bincount(held, minlength=len(names))
    if not counts.all():
        absent = int(np.argmin(counts))
        raise GroupError(
            f"class {names[absent]!r}: none of its {int((labels == absent).sum())} images is held "
            "out; give more of them or hold out a larger share"
        )

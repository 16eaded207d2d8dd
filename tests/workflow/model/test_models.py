"""A model reads the features that it takes, and predicts from no others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import FeatureError
from clarify.track.runs import BaseRun
from clarify.workflow.model.models import open_model
from clarify.workflow.model.project import Workspace, split_data
from tests.conftest import DATA_SET


@pytest.fixture(scope="module")
def project(network_home: Path) -> Workspace:
    """Its newest base model is a network, the one before a head on the settings' backbone."""
    return open_project(Settings(home=network_home), DATA_SET)


def bases(project: Workspace) -> list[str]:
    return [run.id for run in project.tracking.runs(DATA_SET, BaseRun)]


def test_each_model_reads_the_features_of_its_own_backbone(project: Workspace) -> None:
    network, head = (open_model(project, run) for run in bases(project))
    assert (network.is_network, head.is_network) == (True, False)
    assert network.backbone is not None
    assert head.backbone is project.backbone
    own, usual = network.data(project, "validation"), head.data(project, "validation")
    assert own.backbone == network.backbone.identity.image_digest
    assert usual.backbone == project.backbone.identity.image_digest != own.backbone
    assert own.features.shape != usual.features.shape
    assert np.array_equal(own.embeddings, usual.embeddings)
    assert network.predict(own).shape == head.predict(usual).shape == own.labels.shape


def test_features_of_another_backbone_are_refused_by_name(project: Workspace) -> None:
    network, head = (open_model(project, run) for run in bases(project))
    forgotten = split_data(project, "validation")
    with pytest.raises(FeatureError, match=r"takes features by timm:test_resnet.*read it by Model\.data"):
        network.predict(forgotten)
    # Of the same width nothing but the digest tells.
    with pytest.raises(FeatureError, match="has those of backbone 0123456789ab"):
        head.predict(dataclasses.replace(forgotten, backbone="0123456789ab"))


def test_arrays_that_no_backbone_made_are_predicted(project: Workspace) -> None:
    head = open_model(project, bases(project)[1])
    data = head.data(project, "validation")
    known = head.predict(data)
    assert np.array_equal(head.predict(dataclasses.replace(data, backbone="")), known)
    assert np.array_equal(dataclasses.replace(head, backbone=None).predict(data), known)

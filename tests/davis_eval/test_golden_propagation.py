"""Label propagation and masks against the golden values."""

import torch

from davis_eval.propagation import hard_mask, propagate
from davis_eval.settings import Propagation


def test_every_frame_gets_the_reference_segmentation(golden, golden_meta):
    tensors = golden("label_propagation")
    for name, meta in golden_meta["label_propagation"].items():
        settings = Propagation(
            meta["n_last_frames"], meta["neighbourhood"], meta["topk"], meta["temperature"]
        )
        features = tensors["features"].unflatten(1, meta["grid"])
        frames = list(propagate(features, tensors["first_segmentation"][0], settings))
        torch.testing.assert_close(torch.stack(frames), tensors[f"{name}.soft"], atol=1e-4, rtol=0)
        masks = torch.stack([hard_mask(frame, meta["patch_size"]) for frame in frames])
        different = (masks != tensors[f"{name}.mask"]).float().mean()
        assert float(different) <= 1e-3

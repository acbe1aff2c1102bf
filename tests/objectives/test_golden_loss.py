"""Image loss, patch loss and both centres over two calls, against the golden values."""

import numpy as np
import torch

from selfpatch.objectives.dino import DINO
from selfpatch.objectives.selfpatch import SelfPatchLoss
from tests.objectives.naive import as_logits


def test_two_calls_give_the_reference_losses_and_centers(golden, golden_meta):
    meta, tensors = golden_meta["loss"], golden("loss")
    num_global, num_local = meta["global_crops"], meta["local_crops"]
    image_loss = DINO(
        meta["out_dim"],
        num_global,
        meta["student_temp"],
        meta["center_momentum"],
        center_views="all",
    )
    patch_loss = SelfPatchLoss(meta["out_dim_patch"], meta["student_temp"], meta["center_momentum"])
    warmup = np.linspace(
        meta["warmup_teacher_temp"], meta["teacher_temp"], meta["warmup_teacher_temp_epochs"]
    )
    for call in range(2):
        image, patch = {}, {}
        for network in ("student", "teacher"):
            sizes = [("global", num_global), ("local", num_local)]
            prefix = f"{call}.{network}"
            image[network] = torch.cat(
                [
                    tensors[f"{prefix}.{size}.cls"][:, 0].float().unflatten(0, (count, -1))
                    for size, count in sizes
                ]
            )
            patch[network] = [
                tensors[f"{prefix}.{size}.patch"].float().unflatten(0, (count, -1))
                for size, count in sizes
            ]
        teacher_temp = float(tensors[f"{call}.teacher_temp"])
        assert abs(teacher_temp - warmup[call]) < 1e-9
        num_views = num_global + num_local
        teacher = as_logits(image["teacher"])
        runs = (0, image["student"][:num_global]), (num_global, image["student"][num_global:])
        cls = sum(
            image_loss(as_logits(run), teacher, teacher_temp, first, num_views)
            for first, run in runs
        )
        own = sum(
            patch_loss(as_logits(student), as_logits(summary), teacher_temp, num_views)
            for student, summary in zip(patch["student"], patch["teacher"], strict=True)
        )
        image_loss.update(teacher)
        image_loss.finish_step()
        patch_loss.update([as_logits(run) for run in patch["teacher"]])
        patch_loss.finish_step()
        close = {"atol": 1e-4, "rtol": 0}
        torch.testing.assert_close(cls, tensors[f"{call}.cls_loss"][0], **close)
        torch.testing.assert_close(own, tensors[f"{call}.patch_loss"][0], **close)
        total = cls + meta["patch_loss_weight"] * own
        torch.testing.assert_close(total, tensors[f"{call}.total"][0], **close)
        center = tensors[f"{call}.center"].flatten()
        torch.testing.assert_close(image_loss.center.value, center, **close)
        patch_center = tensors[f"{call}.patch_center"].flatten()
        torch.testing.assert_close(patch_loss.center.value, patch_center, **close)

"""Trunk, neighbours, aggregation head and projection head against the golden values."""

import pytest
import torch

from selfpatch.models.heads import AggregationHead, ProjectionHead
from selfpatch.models.neighbours import match_positives, neighbour_index, neighbour_similarity
from selfpatch.models.vit import VisionTransformer


def weights(tensors, prefix="weights."):
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def pixels(images):
    return images.float() / 127.5 - 1


@pytest.fixture(scope="module")
def trunk(golden, golden_meta):
    meta, tensors = golden_meta["vit"], weights(golden("vit"))
    side = round(tensors["pos_embed"].shape[1] ** 0.5) * meta["patch_size"]
    vit = VisionTransformer(
        embed_dim=meta["embed_dim"],
        depth=meta["depth"],
        num_heads=meta["num_heads"],
        mlp_ratio=meta["mlp_ratio"],
        patch_size=meta["patch_size"],
        image_size=side,
    )
    vit.load_state_dict(tensors)
    return vit.eval()


def test_trunk_gives_the_reference_tokens_for_every_image_size(trunk, golden):
    tensors = golden("vit")
    sizes = [name.split(".")[1] for name in tensors if name.startswith("image_u8.")]
    assert len(sizes) >= 4
    for size in sizes:
        tokens = trunk(pixels(tensors[f"image_u8.{size}"]))
        torch.testing.assert_close(tokens, tensors[f"tokens.{size}"], atol=1e-4, rtol=0)


def test_every_block_gives_the_reference_tokens(trunk, golden):
    tensors = golden("vit")
    outputs = sorted(name for name in tensors if name.startswith("block_out."))
    _, size, _ = outputs[0].split(".")
    maps = trunk.layer_maps(pixels(tensors[f"image_u8.{size}"]), range(len(outputs)))
    for name, patch_map in zip(outputs, maps, strict=True):
        torch.testing.assert_close(
            patch_map.flatten(2).transpose(1, 2), tensors[name], atol=1e-4, rtol=0
        )


@pytest.fixture(scope="module")
def head(golden, golden_meta):
    meta = golden_meta["aggregation_head"]
    head = AggregationHead(meta["dim"], meta["num_heads"], meta["blocks"])
    head.load_state_dict(weights(golden("aggregation_head")))
    return head


def grids(tensors):
    counts = [int(name.split(".")[1]) for name in tensors if name.startswith("tokens.")]
    return [(count, round(count**0.5)) for count in counts]


def test_neighbours_and_positives_are_the_references(golden, golden_meta):
    meta, tensors = golden_meta["aggregation_head"], golden("aggregation_head")
    for count, side in grids(tensors):
        index = neighbour_index(side, side, meta["neighbourhood"], meta["border"])
        golden_index = tensors[f"neighbours.{count}"]
        assert index.tolist() == golden_index.sort(dim=1).values.tolist()
        tokens = tensors[f"tokens.{count}"]
        similarity = neighbour_similarity(tokens, golden_index)
        torch.testing.assert_close(similarity, tensors[f"similarity.{count}"], atol=1e-4, rtol=0)
        positives = match_positives(tokens, index, meta["k"])
        assert positives.sort(dim=2).values.equal(tensors[f"positives.{count}"])


def test_teacher_summaries_are_the_references(head, golden, golden_meta):
    meta, tensors = golden_meta["aggregation_head"], golden("aggregation_head")
    for count, side in grids(tensors):
        tokens = tensors[f"tokens.{count}"]
        index = neighbour_index(side, side, meta["neighbourhood"], meta["border"])
        image, patches = head.summarize(tokens, match_positives(tokens, index, meta["k"]))
        expected = tensors[f"teacher_out.{count}"]
        torch.testing.assert_close(image, expected[:, 0], atol=1e-4, rtol=0)
        torch.testing.assert_close(patches, expected[:, 1:], atol=1e-4, rtol=0)


def test_student_summary_patches_and_gradient_are_the_references(head, golden):
    tensors = golden("aggregation_head")
    for count, _ in grids(tensors):
        tokens = tensors[f"tokens.{count}"].requires_grad_()
        out = torch.cat([head.summarize_image(tokens)[:, None], head.norm(tokens)], dim=1)
        torch.testing.assert_close(out, tensors[f"student_out.{count}"], atol=1e-4, rtol=0)
        (gradient,) = torch.autograd.grad((out * tensors[f"student_grad_w.{count}"]).sum(), tokens)
        torch.testing.assert_close(gradient, tensors[f"student_grad.{count}"], atol=1e-4, rtol=0)


def test_projection_head_gives_the_reference_logits(golden, golden_meta):
    meta, tensors = golden_meta["projection_head"], golden("projection_head")
    head = ProjectionHead(
        meta["dim"],
        meta["out_dim"],
        hidden_dim=meta["hidden_dim"],
        bottleneck_dim=meta["bottleneck_dim"],
        num_layers=meta["layers"],
        norm_last_layer=meta["norm_last_layer"],
    )
    head.load_state_dict(weights(tensors))
    torch.testing.assert_close(head(tensors["x"]).whole(), tensors["out"], atol=1e-5, rtol=0)

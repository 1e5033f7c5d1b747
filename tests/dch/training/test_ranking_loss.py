import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dch.training.batches import DroppedRatings
from dch.training.embedding_bag import BagBatch
from dch.training.ranking_loss import (
    SHARPNESS,
    UNIFORMITY_ITEMS,
    Cells,
    dropped_cells,
    kept_cells,
    ranking_loss,
    target_distribution,
    uniformity_loss,
)
from dch.training.tower_net import hard_sign

BATCH, SAMPLED = 3, 5
LABELS = st.sampled_from(["unseen", "kept", "liked", "liked much", "disliked"])


def _cells(labels, chosen, values):
    rows, columns = np.nonzero(np.isin(labels, chosen))
    return Cells(
        rows,
        columns,
        np.array([values.get(labels[r, c], 0.0) for r, c in zip(rows, columns, strict=True)], np.float32),
    )


@st.composite
def blocks(draw):
    flat = draw(st.lists(LABELS, min_size=BATCH * SAMPLED, max_size=BATCH * SAMPLED))
    labels = np.array(flat, dtype=object).reshape(BATCH, SAMPLED)
    values = {"liked": 1.0, "liked much": 1.5}
    return _cells(labels, ["kept"], values), _cells(labels, ["liked", "liked much"], values)


def _random_block(seed):
    return torch.randn(BATCH, SAMPLED, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def _plain_loss(logits, teacher, kept, dropped, share):
    """Compute the loss row by row, as its docstring defines it."""
    total = torch.zeros(())
    for row in range(BATCH):
        masked = set(kept.columns[kept.rows == row])
        open_ = [c for c in range(SAMPLED) if c not in masked]
        if not open_:
            continue
        mine = dropped.rows == row
        liked = dict(zip(dropped.columns[mine], dropped.values[mine], strict=True))
        soft = torch.softmax(teacher[row, open_], dim=0)
        weight = share if liked else 1.0
        target = torch.tensor(
            [
                weight * soft[i].item() + (1 - weight) * liked.get(c, 0.0) / max(sum(liked.values()), 1e-9)
                for i, c in enumerate(open_)
            ]
        )
        total = total - (target * torch.log_softmax(logits[row, open_], dim=0)).sum()
    return total / BATCH


@given(blocks(), st.sampled_from([0.0, 0.5, 1.0]))
def test_the_loss_and_its_gradient_equal_those_of_the_plain_formula(block, share):
    kept, dropped = block
    fused, plain = _random_block(0).requires_grad_(), _random_block(0).requires_grad_()
    target = target_distribution(_random_block(1), kept, dropped, teacher_share=share)
    ours = ranking_loss(fused, target, kept)
    theirs = _plain_loss(plain, _random_block(1), kept, dropped, share)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    (3 * ours).backward()
    if theirs.requires_grad:
        (3 * theirs).backward()
    expected = plain.grad if plain.grad is not None else torch.zeros(BATCH, SAMPLED)
    torch.testing.assert_close(fused.grad, expected, atol=1e-5, rtol=1e-4)


@given(blocks())
def test_each_row_of_the_target_sums_to_one_and_excludes_kept_ratings(block):
    kept, dropped = block
    target = target_distribution(_random_block(1), kept, dropped, teacher_share=0.5)
    full = np.bincount(kept.rows, minlength=BATCH) == SAMPLED
    assert target.sum(dim=1).tolist() == pytest.approx([0.0 if row else 1.0 for row in full], abs=1e-6)
    assert not target[kept.rows, kept.columns].any()


def test_cells_hold_sampled_items_only_and_no_features():
    column_of = np.array([1, -1, 0], np.int32)
    starts = np.array([0, 3, 4], np.int64)
    tokens, values = np.array([0, 1, 3, 2], np.int32), np.array([0.5, 1.0, 1.0, 0.0], np.float32)
    kept = kept_cells(BagBatch(starts, tokens, values, np.array([2, 1], np.int32)), column_of)
    assert (kept.rows.tolist(), kept.columns.tolist()) == ([0, 1], [1, 0])
    held = dropped_cells(DroppedRatings(starts, tokens, values), column_of)
    assert (held.rows.tolist(), held.columns.tolist(), held.values.tolist()) == ([0], [1], [0.5])


def test_the_uniformity_loss_equals_a_computation_by_hand():
    signs = torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, -1]])
    near, half = 1.0, np.exp(SHARPNESS * (0.5 - 1))  # equal codes; codes that differ in one bit of four
    assert uniformity_loss(signs).item() == pytest.approx((2 * near + 4 * half) / 3)


def test_the_uniformity_loss_of_one_item_is_zero():
    assert uniformity_loss(torch.ones(1, 8)).item() == 0


def test_the_uniformity_loss_pushes_equal_codes_apart_and_leaves_distant_codes_alone():
    relaxed = torch.tensor([[0.1] * 8, [0.1] * 8, [-0.1] * 8], requires_grad=True)
    uniformity_loss(hard_sign(relaxed)).backward()
    gradient = relaxed.grad
    assert (gradient[:2] > 0).all()  # descent lowers these values, towards the other sign
    assert gradient[2].abs().max() < 1e-6


def test_the_uniformity_loss_ignores_items_past_the_limit():
    signs = torch.ones(UNIFORMITY_ITEMS + 1, 8)
    assert uniformity_loss(signs).item() == UNIFORMITY_ITEMS - 1

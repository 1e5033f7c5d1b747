import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dch.training.bag import Bags
from dch.training.batches import HeldBack
from dch.training.ranking import Cells, held_back_cells, kept_cells, ranking_loss, target_distribution

BATCH, DRAWN = 3, 5
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
    flat = draw(st.lists(LABELS, min_size=BATCH * DRAWN, max_size=BATCH * DRAWN))
    labels = np.array(flat, dtype=object).reshape(BATCH, DRAWN)
    values = {"liked": 1.0, "liked much": 1.5}
    return _cells(labels, ["kept"], values), _cells(labels, ["liked", "liked much"], values)


def _drawn(seed):
    return torch.randn(BATCH, DRAWN, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def _plain_loss(logits, teacher, kept, held_back, share):
    """Row by row, as the docstring says it."""
    total = torch.zeros(())
    for row in range(BATCH):
        gone = set(kept.columns[kept.rows == row])
        open_ = [c for c in range(DRAWN) if c not in gone]
        if not open_:
            continue
        mine = held_back.rows == row
        liked = dict(zip(held_back.columns[mine], held_back.values[mine], strict=True))
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
def test_the_loss_and_its_gradient_are_those_of_the_plain_formula(block, share):
    kept, held_back = block
    fused, plain = _drawn(0).requires_grad_(), _drawn(0).requires_grad_()
    target = target_distribution(_drawn(1), kept, held_back, teacher_share=share)
    ours = ranking_loss(fused, target, kept)
    theirs = _plain_loss(plain, _drawn(1), kept, held_back, share)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    (3 * ours).backward()
    if theirs.requires_grad:
        (3 * theirs).backward()
    expected = plain.grad if plain.grad is not None else torch.zeros(BATCH, DRAWN)
    torch.testing.assert_close(fused.grad, expected, atol=1e-5, rtol=1e-4)


@given(blocks())
def test_each_row_of_the_target_sums_to_one_and_leaves_kept_ratings_out(block):
    kept, held_back = block
    target = target_distribution(_drawn(1), kept, held_back, teacher_share=0.5)
    full = np.bincount(kept.rows, minlength=BATCH) == DRAWN
    assert target.sum(dim=1).tolist() == pytest.approx([0.0 if row else 1.0 for row in full], abs=1e-6)
    assert not target[kept.rows, kept.columns].any()


def test_cells_are_the_drawn_items_alone_and_features_are_no_items():
    column_of = np.array([1, -1, 0], np.int32)
    starts = np.array([0, 3, 4], np.int64)
    tokens, values = np.array([0, 1, 3, 2], np.int32), np.array([0.5, 1.0, 1.0, 0.0], np.float32)
    kept = kept_cells(Bags(starts, tokens, values, np.array([2, 1], np.int32)), column_of)
    assert (kept.rows.tolist(), kept.columns.tolist()) == ([0, 1], [1, 0])
    held = held_back_cells(HeldBack(starts, tokens, values), column_of)
    assert (held.rows.tolist(), held.columns.tolist(), held.values.tolist()) == ([0], [1], [0.5])

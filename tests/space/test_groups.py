"""Hybrid groups (DATA-9): merged columns are one token of the transformer, others share an embedding."""

from __future__ import annotations

import torch

from featrix_core.space.joint_encoder import Group, JointEncoder

NO_PAIRS = torch.zeros((0, 2), dtype=torch.int64)


def _encoder(*groups: Group) -> JointEncoder:
    torch.manual_seed(0)
    return JointEncoder(5, 16, 352, layers=1, heads=2, dropout=0.0, groups=groups).eval()


def test_merged_columns_share_one_place_in_the_sequence() -> None:
    joint = _encoder(Group((1, 3), merged=True))
    assert joint.slots == 4
    assert joint.slot_A.tolist() == [0, 1, 2, 1, 3]
    encoded = joint(torch.randn(7, 5, 16), None, NO_PAIRS)
    assert encoded.row_BM.shape == (7, 352)
    assert encoded.context_BAD.shape == (7, 5, 16)
    # They share what the transformer says, but each still tells its own value.
    assert not torch.allclose(encoded.context_BAD[:, 1], encoded.context_BAD[:, 3])


def test_every_member_of_a_merged_group_reaches_the_row() -> None:
    joint = _encoder(Group((1, 3), merged=True))
    tokens, learned = torch.randn(4, 5, 16), joint.cls_out.out_features
    with torch.no_grad():
        # What is left of the learned part comes through the transformer.
        joint.skip.weight_AIO.zero_()
        before = joint(tokens, None, NO_PAIRS).row_BM[:, :learned]
        for column in (1, 3):
            changed = tokens.clone()
            changed[:, column] += torch.randn(16)
            after = joint(changed, None, NO_PAIRS).row_BM[:, :learned]
            assert not torch.allclose(before, after)


def test_a_group_embedding_is_added_to_its_columns_alone() -> None:
    joint = _encoder(Group((0, 2), merged=False))
    assert joint.slots == 5
    assert joint.group_A.tolist() == [1, 0, 1, 0, 0]
    seen: list[torch.Tensor] = []
    joint.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    tokens = torch.randn(3, 5, 16)
    with torch.no_grad():
        joint(tokens, None, NO_PAIRS)
        joint.group_GD.add_(1.0)
        joint(tokens, None, NO_PAIRS)
    difference = (seen[1] - seen[0])[:, 1:]
    torch.testing.assert_close(difference[:, [0, 2]], torch.ones(3, 2, 16))
    assert not difference[:, [1, 3, 4]].any()


def test_a_hidden_member_does_not_show_through_a_merged_token() -> None:
    joint = _encoder(Group((1, 3), merged=True))
    hidden = torch.tensor([[False, True, False, False, False]]).expand(4, -1)
    tokens = torch.randn(4, 5, 16)
    changed = tokens.clone()
    changed[:, 1] += 1.0
    with torch.no_grad():
        one = joint(tokens, hidden, NO_PAIRS)
        other = joint(changed, hidden, NO_PAIRS)
    torch.testing.assert_close(one.row_BM, other.row_BM, rtol=0, atol=0)
    torch.testing.assert_close(one.context_BAD, other.context_BAD, rtol=0, atol=0)

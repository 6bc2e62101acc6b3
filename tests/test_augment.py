import numpy as np
import torch

from gtzan_lightning.augment import PictureAugmentation, WaveAugmentation, cutmix, mask, mixup
from gtzan_lightning.settings import AugmentSettings


def batch(clips=256, bins=128, frames=94, genres=10):
    torch.manual_seed(0)
    picture = torch.randn(clips, bins, frames) + 5
    target = torch.nn.functional.one_hot(torch.arange(clips) % genres, genres).float()
    return picture, target


def test_mixup_blends_picture_and_target_alike():
    target = torch.eye(64)  # a genre a clip: the target tells which two clips were blended
    picture = torch.randn(64, 4, 6)
    on = torch.arange(64) < 32
    mixed, soft = mixup(picture, target, on, 0.5)
    torch.testing.assert_close(soft.sum(1), torch.ones(64))
    torch.testing.assert_close(mixed, torch.einsum("cg,gbf->cbf", soft, picture))
    assert torch.equal(mixed[32:], picture[32:])
    assert (soft[:32].amax(1) < 1).float().mean() > 0.8


def test_cutmix_target_is_the_pasted_area():
    target = torch.eye(64)
    picture = torch.arange(64.0)[:, None, None].expand(64, 20, 30)
    mixed, soft = cutmix(picture, target, torch.ones(64, dtype=torch.bool), 0.5)
    for clip in range(64):
        own = (mixed[clip] == clip).float().mean()
        torch.testing.assert_close(soft[clip, clip], own)


def test_masks_stay_within_their_widest_and_only_where_chosen():
    picture, _ = batch()
    on = torch.arange(256) % 2 == 0
    for dim, size in ((1, 128), (2, 94)):
        masked = mask(picture, on, 0.2, dim) == 0
        stripes = masked.all(3 - dim).sum(1)
        assert torch.equal(masked.any((1, 2)) & ~on, torch.zeros(256, dtype=torch.bool))
        assert stripes.max() <= 0.2 * size
        assert stripes.max() > 0.1 * size
        assert len(stripes.unique()) > 3  # each clip has a mask of its own


def test_augmentation_repeats_with_the_seed_and_is_off_at_zero():
    picture, target = batch()
    augment = PictureAugmentation(AugmentSettings(cutmix=0.5))
    results = []
    for _ in range(2):
        torch.manual_seed(1)
        results.append(augment(picture, target)[0])
    assert torch.equal(*results)
    assert not torch.equal(results[0], picture)
    off = PictureAugmentation(AugmentSettings(spectrogram=0))
    same = off(picture, target)
    assert torch.equal(same[0], picture)
    assert torch.equal(same[1], target)


def test_waves_are_augmented_by_seed_and_the_global_generators_are_left_alone(tone):
    augment = WaveAugmentation(AugmentSettings(audio=1, shift=1, noise=1), 8000)
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    one, same, other = augment(tone, 1), augment(tone, 1), augment(tone, 2)
    assert np.array_equal(np.random.get_state()[1], before)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.shape == tone.shape
    assert one.dtype == np.float32


def test_default_probabilities_are_those_of_seed_000():
    s = AugmentSettings()
    assert (s.audio, s.shift, s.noise, s.spectrogram) == (0.5, 0.3, 0.35, 0.8)
    assert (s.mixup, s.mixup_alpha, s.cutmix, s.cutmix_alpha) == (0.65, 0.5, 0.0, 0.5)
    assert (s.mask, s.mask_bins, s.mask_frames) == (0.65, 0.2, 0.3)

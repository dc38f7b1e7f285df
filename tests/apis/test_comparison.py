from mmhmc.apis.comparison import format_table


def test_table_has_a_row_per_result_and_a_dash_for_what_is_not_there():
    table = format_table({
        'with adaptation': {
            'coco/bbox_mAP_50': 0.5,
            'rate/bpp': 0.25
        },
        'uncompressed': {
            'coco/bbox_mAP_50': 0.75
        }
    })
    lines = table.splitlines()
    assert lines[0] == '| | box AP50 | bpp real |'
    assert lines[2:] == [
        '| with adaptation | 0.5 | 0.25 |', '| uncompressed | 0.75 | - |'
    ]

from mmhmc.codecs import JPEG

codec = dict(type=JPEG, quality=50, subsampling='4:4:4')

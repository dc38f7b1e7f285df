from mmhmc.codecs import AVIF

codec = dict(type=AVIF, quality=50, subsampling='4:4:4')

from mmhmc.codecs import WebP

codec = dict(type=WebP, quality=50)

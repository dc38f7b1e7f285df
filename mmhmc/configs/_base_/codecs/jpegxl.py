from mmhmc.codecs import JPEGXL

codec = dict(type=JPEGXL, quality=50)

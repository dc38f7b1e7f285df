codec = dict(type='mmhmc.JPEGXL', quality=50)

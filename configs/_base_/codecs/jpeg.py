codec = dict(type='mmhmc.JPEG', quality=50, subsampling='4:4:4')

codec = dict(type='mmhmc.AVIF', quality=50, subsampling='4:4:4')

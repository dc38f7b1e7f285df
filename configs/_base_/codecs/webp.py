codec = dict(type='mmhmc.WebP', quality=50)

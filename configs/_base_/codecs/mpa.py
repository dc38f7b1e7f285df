codec = dict(type='mmhmc.MPA', tasks=['mse', 'cls', 'seg'])
